/** A certificate chain and its key, in PEM. */
export interface TlsPair {
  readonly cert: string;
  readonly key: string;
}

/** A certificate, or its key, can not be used. */
export class TlsPairError extends Error {
  readonly code = "ERR_TLS_PAIR";

  constructor(position: number, cause: unknown) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    super(`Cannot use certificate and key number ${position}: ${reason}. Both have to be PEM, and of one another`, {
      cause,
    });
    this.name = "TlsPairError";
  }
}

/**
 * Whether all of them can be used. Without TLS none of its code is loaded.
 *
 * @throws {TlsPairError} One can not.
 */
export async function checkTlsPairs(pairs: readonly TlsPair[]): Promise<void> {
  const { Certificates } = await import("./tls.ts");
  new Certificates(pairs);
}
