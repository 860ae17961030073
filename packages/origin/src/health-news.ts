import type { LogRecord } from "@proj/protocol";

/** One of several origins has begun to fail, or is good again. */
export interface OriginNews {
  /** Scheme, host and port. */
  readonly origin: string;
  /** Why it failed; undefined: it has answered again. */
  readonly failure: string | undefined;
}

/** What an operator is told. */
export function healthRecord({ origin, failure }: OriginNews): LogRecord {
  if (failure === undefined) return { level: "info", message: `${origin} answers again` };
  return { level: "warn", message: `${origin} fails: ${failure}. It is left alone for a while, others are asked` };
}
