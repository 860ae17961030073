import { AccessFeed } from "../access/feed.ts";
import { errorCode } from "../command-error.ts";
import type { Log } from "../log.ts";
import { exportRequest, type Span, spansOf } from "./spans.ts";

const EXPORT_MS = 1000;
/** Spans that wait: beyond it the oldest are dropped, since a collector that is away must cost nobody's memory. */
const WAITING_MAX = 8192;
const BATCH_MAX = 512;
const TIMEOUT_MS = 5000;
/** A collector that is away is complained about no more often. */
const COMPLAINT_MS = 60_000;

/** Sends the spans of traced requests to an OpenTelemetry collector (OTLP over HTTP, as JSON). It reads them off the access records: no request waits for it. */
export class TraceExporter {
  readonly #url: string;
  readonly #channel: string;
  readonly #log: Log;
  readonly #feed: AccessFeed;
  readonly #waiting: Span[] = [];
  #dropped = 0;
  #complainedAtMs = Number.NEGATIVE_INFINITY;
  #timer: ReturnType<typeof setInterval> | undefined;
  #sending: Promise<void> = Promise.resolve();
  #isSending = false;

  /** @param otlp The collector's URL, to which `/v1/traces` is joined unless it ends so. */
  constructor({ otlp, channel, log }: { otlp: string; channel: string; log: Log }) {
    this.#url = /\/v1\/traces\/?$/.test(otlp) ? otlp : `${otlp.replace(/\/$/, "")}/v1/traces`;
    this.#channel = channel;
    this.#log = log;
    this.#feed = new AccessFeed({
      channel,
      wantsAll: false,
      from: "oldest",
      onRecords: (records) => {
        for (const record of records) if (record.trace !== "") this.#add(spansOf(record));
      },
    });
  }

  start(): void {
    this.#feed.start();
    this.#timer = setInterval(() => this.#send(), EXPORT_MS);
  }

  /** Sends what is left, as far as the collector takes it at once. To be called when the proxy has ended. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#feed.stop();
    await this.#sending;
    this.#send();
    await this.#sending;
  }

  #add(spans: readonly Span[]): void {
    this.#waiting.push(...spans);
    const over = this.#waiting.length - WAITING_MAX;
    if (over <= 0) return;
    this.#waiting.splice(0, over);
    this.#dropped += over;
  }

  #send(): void {
    if (this.#isSending || this.#waiting.length === 0) return;
    this.#isSending = true;
    this.#sending = this.#sendAll().finally(() => {
      this.#isSending = false;
    });
  }

  async #sendAll(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.slice(0, BATCH_MAX);
      const fault = await this.#post(exportRequest(this.#channel, batch));
      if (fault !== undefined) return this.#complain(fault);
      this.#waiting.splice(0, batch.length);
    }
  }

  /** Why it was not taken. */
  async #post(body: string): Promise<string | undefined> {
    try {
      const headers = { "content-type": "application/json" };
      const response = await fetch(this.#url, {
        method: "POST",
        headers,
        body,
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
      await response.arrayBuffer();
      return response.ok ? undefined : `status ${response.status}`;
    } catch (error) {
      return errorCode(error) ?? String(error);
    }
  }

  #complain(fault: string): void {
    if (performance.now() - this.#complainedAtMs < COMPLAINT_MS) return;
    this.#complainedAtMs = performance.now();
    const message = `Cannot send traces to ${this.#url}: ${fault}; ${this.#waiting.length} spans wait, ${this.#dropped} were dropped. Is a collector listening there? --otlp names another`;
    this.#log({ level: "warn", message });
  }
}
