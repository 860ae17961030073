import {
  type AccessRecord,
  type AccessRingWriter,
  type AccessTextFields,
  type AccessTexts,
  type AccessVerdict,
  type Counters,
  Histogram,
  PROXY_HISTOGRAMS,
  type ProxyCounter,
  type ProxyHistogram,
  type ResponseAnswer,
} from "@proj/protocol";
import { HotSample } from "./hot-sample.ts";

/** What is known of a request's sender and what it asked for; read only when the record is written. */
export interface Asked extends AccessTextFields, Pick<AccessRecord, "wire" | "minorVersion" | "isTls"> {
  /** Of {@link AccessTextFields}, where they are at hand. */
  texts?: AccessTexts | undefined;
}

/** One request on its way to its end: what its record will say. */
export class RequestRecord {
  /** Monotonic. */
  readonly startedMs: number;
  readonly weight: number;
  verdict: AccessVerdict;
  status = 0;
  /** To the client, so far. */
  bytes = 0;
  /** Monotonic; undefined while nothing has gone out. */
  firstByteMs: number | undefined;
  originMs: number | undefined;
  stored = false;
  collapsed = false;
  stale = false;
  /** See {@link AccessRecord}. */
  trace = "";

  constructor(startedMs: number, verdict: AccessVerdict, weight = 1) {
    this.startedMs = startedMs;
    this.verdict = verdict;
    this.weight = weight;
  }
}

/** Writes what a thread's requests came to: into its ring of access records, its histograms and its counters. */
export class AccessRecorder {
  readonly #ring: AccessRingWriter;
  readonly #histograms: ReadonlyMap<ProxyHistogram, Histogram>;
  readonly #counters: Counters<ProxyCounter>;
  readonly #now: () => number;
  readonly #wallMs: () => number;
  readonly #hotSample: HotSample;
  #wantsAll = false;

  /** @param slots The slots of each of {@link PROXY_HISTOGRAMS} in the thread's page. */
  constructor(options: {
    ring: AccessRingWriter;
    slots: (index: number) => Float64Array;
    counters: Counters<ProxyCounter>;
    now: () => number;
    wallMs: () => number;
    random: () => number;
  }) {
    this.#ring = options.ring;
    this.#histograms = new Map(
      PROXY_HISTOGRAMS.map((name, index) => [name, new Histogram(options.slots(index))] as const),
    );
    this.#counters = options.counters;
    this.#now = options.now;
    this.#wallMs = options.wallMs;
    this.#hotSample = new HotSample(options.random);
    this.look();
  }

  /** Called every 100 ms: does somebody want all requests, and how many hot hits are there? */
  look(): void {
    this.#wantsAll = this.#ring.wantsAll(this.#wallMs());
    this.#hotSample.look();
  }

  /** For the hot hit that is about to be served; undefined: it is none of those that are recorded. */
  beginSampledHot(): RequestRecord | undefined {
    const weight = this.#wantsAll ? 1 : this.#hotSample.take();
    return weight === 0 ? undefined : this.#beginHot(weight);
  }

  /** Of a hot hit that is recorded besides the sample, which stands for it already: it counts for none. */
  beginTracedHot(): RequestRecord {
    return this.#beginHot(0);
  }

  #beginHot(weight: number): RequestRecord {
    const record = new RequestRecord(this.#now(), "hot", weight);
    record.status = 200;
    return record;
  }

  /** A request whose head is whole, and of which it is not known yet what becomes of it. */
  begin(verdict: AccessVerdict = "refused"): RequestRecord {
    return new RequestRecord(this.#now(), verdict);
  }

  /** The cache has answered: its response goes out from now on. */
  answered(record: RequestRecord, response: ResponseAnswer): void {
    record.firstByteMs = this.#now();
    record.verdict = response.verdict;
    record.status = response.status;
    record.originMs = response.originMs;
    record.stored = response.stored;
    record.collapsed = response.collapsed;
    record.stale = response.ttlSeconds !== undefined && response.ttlSeconds < 0;
  }

  /** The origin has answered a request that went past the cache: since caching has no part in it, or nothing could be had from it (`bypass`). */
  passed(record: RequestRecord, status: number): void {
    record.firstByteMs = this.#now();
    record.originMs = record.firstByteMs - record.startedMs;
    if (record.verdict !== "bypass") record.verdict = "pass";
    record.status = status;
  }

  /** We answer it in place of the origin. */
  refused(record: RequestRecord, verdict: "refused" | "malformed", status: number): void {
    record.firstByteMs = this.#now();
    record.verdict = verdict;
    record.status = status;
  }

  /** It is over. */
  end(record: RequestRecord, aborted: boolean, asked: Asked): void {
    const nowMs = this.#now();
    const totalMs = nowMs - record.startedMs;
    // What is sent in one write, as a hot hit is, is out when it is over.
    const firstByteAtMs = record.firstByteMs ?? (record.bytes > 0 ? nowMs : undefined);
    const firstByteMs = (firstByteAtMs ?? nowMs) - record.startedMs;
    this.#measure(record, firstByteMs, totalMs);
    // Field by field: to spread one object into another takes as long as to write the record.
    this.#ring.write(
      {
        sequence: 0,
        startedMs: this.#wallMs() - totalMs,
        firstByteMs: firstByteAtMs === undefined ? undefined : firstByteMs,
        totalMs,
        originMs: record.originMs,
        status: record.status,
        verdict: record.verdict,
        aborted,
        stored: record.stored,
        collapsed: record.collapsed,
        stale: record.stale,
        wire: asked.wire,
        minorVersion: asked.minorVersion,
        isTls: asked.isTls,
        bytes: record.bytes,
        weight: record.weight,
        method: asked.method,
        target: asked.target,
        host: asked.host,
        client: asked.client,
        referer: asked.referer,
        userAgent: asked.userAgent,
        trace: record.trace,
      },
      asked.texts,
    );
  }

  #measure({ verdict, status, weight }: RequestRecord, firstByteMs: number, totalMs: number): void {
    const [firstByte, total] = HISTOGRAMS_OF[kindOf(verdict)];
    this.#histograms.get(firstByte)!.add(firstByteMs, weight);
    this.#histograms.get(total)!.add(totalMs, weight);
    const counter = STATUS_COUNTERS[Math.floor(status / 100)];
    if (verdict !== "hot" && counter !== undefined) this.#counters.add(counter);
  }
}

const HISTOGRAMS_OF = {
  hot: ["hotFirstByte", "hotTotal"],
  hit: ["hitFirstByte", "hitTotal"],
  miss: ["missFirstByte", "missTotal"],
  pass: ["passFirstByte", "passTotal"],
  refused: ["refusedFirstByte", "refusedTotal"],
} as const satisfies Record<string, readonly ProxyHistogram[]>;

const STATUS_COUNTERS = [undefined, undefined, "status2xx", "status3xx", "status4xx", "status5xx"] as const;

function kindOf(verdict: AccessVerdict): "hot" | "hit" | "miss" | "pass" | "refused" {
  switch (verdict) {
    case "hot":
    case "hit":
    case "pass":
    case "refused":
      return verdict;
    case "malformed":
      return "refused";
    default:
      return "miss";
  }
}
