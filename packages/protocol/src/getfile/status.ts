/**
 * What a GETFILE server answers, as it stands on the wire: `OK` with a body, `FILE_NOT_FOUND` when the origin has no
 * such file, `ERROR` when it could not be asked or refused, `INVALID` when the request itself was malformed.
 */
export type GetfileStatus = "OK" | "FILE_NOT_FOUND" | "ERROR" | "INVALID";

/**
 * The GETFILE status that an origin's final HTTP status becomes. Only 200 carries a whole file: a 206, a 304 or a
 * redirect would be a wrong body under `OK`, so they are `ERROR` like every refusal.
 */
export function getfileStatusOf(httpStatus: number): Exclude<GetfileStatus, "INVALID"> {
  if (httpStatus === 200) return "OK";
  return httpStatus === 404 || httpStatus === 410 ? "FILE_NOT_FOUND" : "ERROR";
}
