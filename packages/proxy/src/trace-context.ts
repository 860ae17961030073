/** What a client says of the trace that its request belongs to (W3C Trace Context, section 3.2). */
export interface TraceParent {
  readonly traceId: string;
  readonly parentId: string;
  readonly isSampled: boolean;
}

const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
const SAMPLED = 1;

/** Undefined for what is none: then a trace begins here. */
export function parseTraceParent(value: string | undefined): TraceParent | undefined {
  const [, version, traceId = "", parentId = "", flags = "", more] = TRACEPARENT.exec(value ?? "") ?? [];
  if (version === undefined || version === "ff" || (version === "00" && more !== undefined)) return undefined;
  if (/^0+$/.test(traceId) || /^0+$/.test(parentId)) return undefined;
  return { traceId, parentId, isSampled: (Number.parseInt(flags, 16) & SAMPLED) === SAMPLED };
}

/** One request that is traced: its span, and the one of what it asks the origin. */
export interface TracedRequest {
  /** The field's value for the origin: its parent is the span of asking it. */
  readonly forwarded: string;
  /** As the access record has it. */
  readonly record: string;
}

/** Decides which requests are traced: those whose client says so, and of those without a trace a part. */
export class Tracing {
  readonly #ratio: number;
  readonly #random: () => number;

  /** @param ratio From 0 to 1: the part of requests without a trace for which one begins. */
  constructor(ratio: number, random: () => number = Math.random) {
    this.#ratio = ratio;
    this.#random = random;
  }

  /** Whether the client wants its request traced. */
  isWanted(traceparent: string | undefined): boolean {
    return traceparent !== undefined && parseTraceParent(traceparent)?.isSampled === true;
  }

  /**
   * Undefined: this request is not traced.
   *
   * @param weight For how many requests it stands, where only some are looked at.
   */
  begin(traceparent: string | undefined, weight: number): TracedRequest | undefined {
    const parent = parseTraceParent(traceparent);
    const isTraced = parent === undefined ? this.#random() < this.#ratio * weight : parent.isSampled;
    if (!isTraced) return undefined;
    const traceId = parent?.traceId ?? id(16);
    const originSpan = id(8);
    return {
      forwarded: `00-${traceId}-${originSpan}-01`,
      record: `${traceId} ${id(8)} ${originSpan} ${parent?.parentId ?? ""}`,
    };
  }
}

function id(bytes: number): string {
  return Buffer.from(crypto.getRandomValues(new Uint8Array(bytes))).toString("hex");
}
