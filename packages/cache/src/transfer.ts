import { FIRST_PAYLOAD_OFFSET, NEXT_PAYLOAD_OFFSET, portionCapacity, type Refusal } from "@proj/protocol";
import type { Ask, ChannelServer } from "./channel-server.ts";
import type { ClientRequest } from "./client-request.ts";
import type { Fill } from "./fill.ts";
import { availableBehind, type Portion, planPortion, type StreamState } from "./portion-plan.ts";
import type { Reply } from "./reply.ts";

/** Where the bytes of a reply come from, as long as they still arrive. */
export interface Source {
  /** The transfer was answered or went away: a source with a window may go on. */
  progressed(): void;
  readonly failed: boolean;
  /** Any byte of it can be read again. */
  readonly replayable: boolean;
}

/**
 * One response on its way to one client, from the cache's side: the asks that wait, and the reply once it is chosen. Everything it
 * gives out comes from that one reply: a response replaced in the store between two portions changes nothing here.
 */
export class Transfer {
  readonly id: number;
  readonly thread: number;
  readonly request: ClientRequest;
  /** Asks that could not be answered yet, in the order they came. */
  readonly asks: Ask[] = [];
  /** When the first of {@link asks} came, ms on the shard's monotonic clock. */
  waitingSinceMs = 0;
  /** The fill that this transfer waits for or reads from. */
  fill: Fill | undefined;
  /** What is stored could not be read: its tier has dropped it, or can not read anything just now. */
  isUnreadable = false;
  /** The proxy was told `pending` and expects a notice. */
  noticeOwed = false;
  /** No byte before this one will be asked for again, unless the reply is replayable. */
  position = 0;
  /** Interim responses that have to go out before the reply, as they go out. */
  readonly interims: { readonly status: number; readonly bytes: Uint8Array }[] = [];
  /** The head went out without a length. */
  #isFramedByProxy = false;
  #reply: Reply | undefined;
  /** Its bytes are being read from the disk. */
  #isLoading = false;
  /** How many bytes of the portion were at hand when the last of its loads began; undefined: none has. */
  #atHandBefore: number | undefined;
  /** Why they could not be. */
  #loadError: unknown;
  #source: Source | undefined;

  constructor(id: number, thread: number, request: ClientRequest) {
    this.id = id;
    this.thread = thread;
    this.request = request;
  }

  get reply(): Reply | undefined {
    return this.#reply;
  }

  /** Chooses what this transfer gives out, once. */
  begin(reply: Reply, source: Source | undefined): void {
    this.#reply = reply;
    this.#source = source;
    reply.body?.retain();
  }

  /**
   * The body has come to its end, and only now its length is known.
   *
   * @param trailers What came behind it, as lines. It goes to a client that takes trailers (RFC 9110 section 6.5.1), and nobody else.
   */
  lengthKnown(bodyBytes: number, trailers: Uint8Array | undefined): void {
    const reply = this.#reply;
    if (reply === undefined || reply.length !== undefined) return;
    reply.length = bodyBytes - reply.from;
    reply.contentLength = reply.length;
    if (trailers === undefined || !this.request.takesTrailers) return;
    reply.trailers = trailers;
    reply.contentLength = undefined; // a body with a length has no trailers
  }

  /** Why there will be no reply, for a client that is not asking just now. */
  refusal: Refusal | undefined;

  /** Whether an ask for what comes next could be answered. */
  get isReady(): boolean {
    if (this.refusal !== undefined || this.#source?.failed === true || this.interims.length > 0) return true;
    if (this.#reply === undefined) return false;
    return planPortion(this.#state(this.#reply), this.position, 1).kind !== "wait";
  }

  end(): void {
    this.#reply?.body?.release();
    this.#reply = undefined;
    this.#source = undefined;
    this.#loadError = undefined;
  }

  /** Body bytes up to which this transfer has read. */
  get bodyPosition(): number {
    return this.#reply === undefined ? 0 : this.#reply.from + Math.max(0, this.position - this.#reply.headBlock.length);
  }

  /**
   * Steps 6 to 8 for one ask: a portion, a refusal, or nothing yet.
   *
   * @returns "whole" when the proxy will not ask again: one portion held the whole stream, or there will be none. "broken": what is stored can not be
   *   read and nothing of it has gone out, so that another reply has to be chosen; the ask still waits. A promise: it waits for the disk; is to be called again when that has
   *   resolved, which it always does. "loads": it still waits for that.
   */
  serve(ask: Ask, channel: ChannelServer): "waits" | "loads" | "answered" | "whole" | "broken" | Promise<void> {
    const reply = this.#reply;
    if (this.refusal !== undefined) {
      channel.refuse(ask, this.refusal);
      return "whole";
    }
    const first = ask.firstByte === 0;
    if (first && this.position === 0 && this.#serveInterim(ask, channel)) return "answered";
    if (reply === undefined) return "waits";
    if (this.#isLoading) return "loads";
    const payloadOffset = first ? FIRST_PAYLOAD_OFFSET : NEXT_PAYLOAD_OFFSET;
    const capacity = portionCapacity(ask.bytes.length, payloadOffset);
    const state = this.#state(reply);
    const { headBytes } = state;
    const { loan } = reply;
    if (first && loan !== undefined && this.request.acceptsLoan && headBytes <= capacity) {
      // What fits is copied once, unless the proxy may keep it: then it is sent again and again, from there without a copy.
      const isKept = reply.response.hotVersion !== undefined;
      if (isKept || headBytes + reply.length! > capacity) return this.#lend(ask, channel, reply, loan);
    }
    const plan = planPortion(state, ask.firstByte, first ? capacity : Math.min(capacity, ask.bytesMax));
    if (plan.kind === "wait") return this.#waitOrFail(ask, channel);
    if (plan.kind === "beyond") {
      channel.refuse(ask, "refused");
      return "answered";
    }
    const bytesMax = plan.headBytes + plan.bodyBytes + plan.trailerBytes;
    let bytes: number;
    try {
      const into = ask.bytes.subarray(payloadOffset, payloadOffset + bytesMax);
      bytes = this.#copyPortion(reply, plan, into);
      if (bytes < bytesMax) {
        const loading = this.#load(reply, plan, bytes - plan.headBytes);
        if (loading !== undefined) return loading;
        bytes = this.#copyBody(reply, plan, into, bytes); // may wait for the medium, which has just been asked
        if (bytes < bytesMax) throw new Error(`The body ends before byte ${plan.bodyFrom + bytes - plan.headBytes}`);
      }
    } catch {
      if (first && this.position === 0 && this.#source === undefined) {
        this.end();
        this.isUnreadable = true;
        return "broken";
      }
      // The medium failed under a body of which the client has a part: this transfer can only be cut, and says so.
      channel.refuse(ask, "cut-short");
      return "answered";
    }
    const last = plan.last && bytes === bytesMax;
    const whole = first && last;
    channel.answer(
      ask,
      {
        kind: "portion",
        bytes,
        last,
        open: !whole,
        replayable: !whole && (this.#source?.replayable ?? true),
        bodyBytes: reply.contentLength,
        availableBytes: availableBehind(state, ask.firstByte + bytes),
        payloadOffset,
        loan: undefined,
        trailers: plan.trailerBytes > 0,
      },
      first ? reply.response : undefined,
    );
    if (first) this.#isFramedByProxy = reply.contentLength === undefined;
    this.position = Math.max(this.position, ask.firstByte + bytes);
    this.#atHandBefore = undefined;
    this.#source?.progressed();
    return whole ? "whole" : "answered";
  }

  /** True when the ask was answered with an interim response: the proxy passes it on, and asks again. */
  #serveInterim(ask: Ask, channel: ChannelServer): boolean {
    const interim = this.interims.shift();
    if (interim === undefined || interim.bytes.length > portionCapacity(ask.bytes.length, FIRST_PAYLOAD_OFFSET))
      return false;
    ask.bytes.set(interim.bytes, FIRST_PAYLOAD_OFFSET);
    channel.answer(
      ask,
      {
        kind: "portion",
        bytes: interim.bytes.length,
        last: false,
        open: true,
        replayable: false,
        bodyBytes: undefined,
        availableBytes: 0,
        payloadOffset: FIRST_PAYLOAD_OFFSET,
        loan: undefined,
        trailers: false,
      },
      { ...INTERIM, status: interim.status },
    );
    return true;
  }

  /** The head block in the segment; the body stays where it is, for the proxy to read there. */
  #lend(ask: Ask, channel: ChannelServer, reply: Reply, loan: number): "whole" {
    const headBytes = reply.headBlock.length;
    ask.bytes.set(reply.headBlock, FIRST_PAYLOAD_OFFSET);
    channel.answer(
      ask,
      {
        kind: "portion",
        bytes: headBytes,
        last: false,
        open: false,
        replayable: false,
        bodyBytes: reply.length,
        availableBytes: headBytes + reply.length!,
        payloadOffset: FIRST_PAYLOAD_OFFSET,
        loan,
        trailers: false,
      },
      reply.response,
    );
    return "whole";
  }

  #state(reply: Reply): StreamState {
    const arrived = reply.body === undefined ? 0 : Math.max(0, reply.body.bytes - reply.from);
    const bodyAvailable = reply.length === undefined ? arrived : Math.min(arrived, reply.length);
    const trailerBytes = reply.trailers?.length ?? 0;
    return {
      headBytes: reply.headBlock.length,
      bodyAvailable,
      bodyBytes: reply.length,
      trailerBytes,
      isInParts: this.#isFramedByProxy || reply.contentLength === undefined,
    };
  }

  /** Copies what is at hand; returns how many bytes. */
  #copyPortion(reply: Reply, plan: Portion, into: Uint8Array): number {
    if (this.#loadError !== undefined) throw this.#loadError;
    const { headFrom, headBytes, trailerFrom, trailerBytes } = plan;
    if (trailerBytes > 0) {
      into.set(reply.trailers!.subarray(trailerFrom, trailerFrom + trailerBytes));
      return trailerBytes;
    }
    const { headBlock } = reply;
    if (headBytes > 0)
      into.set(headBytes === headBlock.length ? headBlock : headBlock.subarray(headFrom, headFrom + headBytes));
    return this.#copyBody(reply, plan, into, headBytes, "at-hand");
  }

  /** Bytes of the body for a portion of which `from` bytes are there; returns how many are then. */
  #copyBody(reply: Reply, { bodyFrom, headBytes }: Portion, into: Uint8Array, from: number, only?: "at-hand"): number {
    let done = from;
    while (done < into.length) {
      const rest = done === 0 ? into : into.subarray(done);
      const count = reply.body!.read(reply.from + bodyFrom + done - headBytes, rest, only);
      if (count === 0) break;
      done += count;
    }
    return done;
  }

  /**
   * Has more of a portion's bytes read. A portion is as long as was planned, since the next one may have been asked for: when the last load has brought nothing (others
   * have taken its room), undefined: the rest is to be read at once.
   *
   * @param atHand How many bytes of the body are.
   */
  #load(reply: Reply, plan: Portion, atHand: number): Promise<void> | undefined {
    if (this.#atHandBefore !== undefined && atHand <= this.#atHandBefore) return undefined;
    this.#atHandBefore = atHand;
    const position = reply.from + plan.bodyFrom + atHand;
    const loading = reply.body!.load?.(position, plan.bodyBytes - atHand);
    if (loading === undefined) throw new Error(`The body ends before byte ${position}`);
    this.#isLoading = true;
    return loading
      .catch((error: unknown) => {
        this.#loadError = error;
      })
      .finally(() => {
        this.#isLoading = false;
      });
  }

  #waitOrFail(ask: Ask, channel: ChannelServer): "waits" | "answered" {
    if (!this.#source?.failed) return "waits";
    channel.refuse(ask, "cut-short");
    return "answered";
  }
}

const INTERIM = {
  headBytes: 0,
  verdict: "miss",
  ageSeconds: undefined,
  ttlSeconds: undefined,
  forwardStatus: undefined,
  stored: false,
  collapsed: false,
  hotVersion: undefined,
  hasCacheStatus: true,
} as const;
