import { endToEndFields, type RequestHead, type ResponseHead, storable } from "@proj/protocol";

interface Verdicts {
  authorized: boolean | undefined;
  unauthorized: boolean | undefined;
}

/** What was found of a head that comes again and again: the origin client gives out one object for it. */
const found = new WeakMap<ResponseHead, Verdicts>();

/** Whether a cache could store this response to a GET of which {@link mayPass} holds: then nothing of the request counts but whether it has credentials. */
export function isPassStorable(request: RequestHead, response: ResponseHead): boolean {
  let verdicts = found.get(response);
  if (verdicts === undefined) {
    verdicts = { authorized: undefined, unauthorized: undefined };
    found.set(response, verdicts);
  }
  const kind = request.fields.has("authorization") ? "authorized" : "unauthorized";
  verdicts[kind] ??= judge(request, response);
  return verdicts[kind];
}

function judge(request: RequestHead, { status, fields }: ResponseHead): boolean {
  return storable(request, { status, fields: endToEndFields(fields) }).storable;
}
