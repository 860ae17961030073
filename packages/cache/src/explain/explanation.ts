/** One thing that decided, in words, with the directive or field that says so and where that is written. */
export interface Because {
  readonly text: string;
  /** As it stands in the message: `max-age=60`, `Vary: cookie`. */
  readonly directive?: string;
  /** `RFC 9111 section 4.2.1`. */
  readonly rfc?: string;
}

/** One stored response under the key that was asked about. */
export interface ExplainedResponse {
  /** This is the one that was selected for the request. */
  readonly isSelected: boolean;
  readonly status: number;
  readonly bodyBytes: number;
  /** All of the body is there; else only parts of it are. */
  readonly isWhole: boolean;
  readonly tier: "memory" | "disk";
  readonly ageSeconds: number;
  /** Below zero: for how long it has been stale. */
  readonly ttlSeconds: number;
  /** What set its lifetime. */
  readonly lifetime: Because;
  /** The request fields it depends on, and what was said in them. */
  readonly varyNames: readonly string[];
  readonly varyKey: string;
  readonly tags: readonly string[];
  readonly etag?: string;
  readonly lastModified?: string;
  readonly cacheControl?: string;
}

/** What became of the last response for a key that was not stored. */
export interface ExplainedFate {
  readonly secondsAgo: number;
  readonly status: number;
  readonly because: Because;
}

/**
 * What would happen to a request now. `hit`: a stored, fresh response; `stale`: a stale one, as it is; `validate`: the origin is asked whether what is stored is
 * still good; `fetch`: the origin is asked for it; `pass`: caching has no part in it; `not-stored`: 504, since the client takes nothing but what is stored;
 * `nobody`: it belongs to no site.
 */
export type ExplainedOutcome = "hit" | "stale" | "validate" | "fetch" | "pass" | "not-stored" | "nobody";

export interface Explanation {
  readonly outcome: ExplainedOutcome;
  /** As Cache-Status would say it (RFC 9211), where there would be one. */
  readonly cacheStatus?: string;
  readonly because: readonly Because[];
  readonly key?: string;
  /** Of the site it belongs to; empty where there is only one. */
  readonly site?: string;
  /** The cache thread that owns the key. */
  readonly shard?: number;
  readonly stored: readonly ExplainedResponse[];
  /** Why the last response was not stored, where it was not and is remembered. */
  readonly lastFetch?: ExplainedFate;
}

/** What a client would ask for, and what about. */
export interface ExplainQuestion {
  /** Undefined: as a client that names no host. */
  readonly host?: string;
  /** Path and query, as a client asks for them. */
  readonly path: string;
  readonly method: string;
  /** Request fields: name and value. */
  readonly fields: readonly (readonly [string, string])[];
}
