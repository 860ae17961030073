import { Doorbell, DoorbellRinger, MessageQueue, objectName, type Segment, SegmentPool, SharedMemory } from "@proj/ipc";
import { type Heartbeat, Life, startHeartbeat } from "@proj/process";
import {
  type ChannelRequest,
  Counters,
  channelNames,
  FIRST_PAYLOAD_OFFSET,
  NOTICE_MESSAGE_BYTES_MAX,
  type PortionAnswer,
  PROXY_COUNTERS,
  type ProxyCounter,
  REQUEST_BYTES,
  REQUEST_MESSAGE_BYTES_MAX,
  type ResponseAnswer,
  readControlBlock,
  readRequest,
  readRequestBlock,
  sleepingOffset,
  threadCounters,
  type WantedResponse,
  writeNotices,
  writePortion,
} from "@proj/protocol";

/** One thing that the proxy has asked. */
export interface FalseAsk {
  readonly request: ChannelRequest;
  /** Of an `open`. */
  readonly wanted: WantedResponse | undefined;
  readonly segment: Segment;
}

/** The cache's end of a channel with one thread, in this process, whose answers are the test's: every word of them reaches a real proxy, and at a known moment. */
export class FalseCache implements Disposable {
  /** Called for each `open` and `read`; posts the answer by {@link post}, or does not. */
  answer: (ask: FalseAsk) => void = () => {};
  readonly #names;
  readonly #life: Life;
  readonly #heartbeat: Heartbeat;
  readonly #queue: MessageQueue;
  readonly #bell: Doorbell;
  readonly #message = new Uint8Array(new ArrayBuffer(REQUEST_MESSAGE_BYTES_MAX));
  readonly #view = new DataView(this.#message.buffer);
  #peer:
    | { life: number; control: SharedMemory; pool: SegmentPool; bell: DoorbellRinger; notices: MessageQueue }
    | undefined;

  constructor(channel: string) {
    this.#names = channelNames(channel);
    const removeLeftovers = () => {};
    this.#life = Life.begin({ side: "cache", channel, threads: 1, originNames: [], removeLeftovers });
    const { control } = this.#life;
    this.#heartbeat = startHeartbeat(control, 0);
    const size = { maxmsg: 10, msgsize: REQUEST_MESSAGE_BYTES_MAX };
    this.#queue = MessageQueue.create(objectName(this.#names.requestQueue(0)), size);
    this.#bell = Doorbell.listen({
      name: objectName(this.#names.bell("cache", 0)),
      flag: { memory: control, offset: sleepingOffset(0) },
      look: () => this.#look(),
    });
    this.#life.serve();
  }

  /** Says that an answer is there. */
  post(segment: Segment): void {
    segment.semaphore.post();
    this.#proxy.bell.ring();
  }

  /** Sends the proxy a message as notices are, of its true life. */
  notice(transfers: readonly number[]): void {
    const view = new DataView(new ArrayBuffer(NOTICE_MESSAGE_BYTES_MAX));
    const bytes = writeNotices(view, this.#proxy.life, transfers);
    this.#proxy.notices.trySend(new Uint8Array(view.buffer, 0, bytes));
    this.#proxy.bell.ring();
  }

  /** What the proxy has counted, live. */
  counted(counter: ProxyCounter): number {
    return new Counters(PROXY_COUNTERS, threadCounters(this.#proxy.control.buffer, 0)).get(counter);
  }

  get #proxy() {
    this.#peer ??= this.#attach();
    return this.#peer;
  }

  #attach() {
    const control = SharedMemory.open(objectName(this.#names.controlBlock("proxy")));
    const block = readControlBlock(control.buffer);
    if (typeof block !== "object") throw new Error(`The proxy's control block is ${block}`);
    const pool = SegmentPool.open(objectName(this.#names.pool));
    const flag = { memory: control, offset: sleepingOffset(0) };
    const bell = DoorbellRinger.open({ name: objectName(this.#names.bell("proxy", 0)), flag });
    const notices = MessageQueue.open(objectName(this.#names.noticeQueue(0)));
    return { life: block.life, control, pool, bell, notices };
  }

  #look(): boolean {
    const bytes = this.#queue.tryReceive(this.#message);
    if (bytes === undefined) return false;
    for (let at = 0; at < bytes; at += REQUEST_BYTES) {
      const request = readRequest(this.#view, at);
      if (request === undefined || request.operation === "close") continue;
      const segment = this.#proxy.pool.segment(request.segmentId, request.segmentGeneration);
      if (segment === undefined) continue;
      const wanted = request.operation === "open" ? readRequestBlock(segment.bytes, request.bytesMax) : undefined;
      this.answer({ request, wanted, segment });
    }
    return true;
  }

  [Symbol.dispose](): void {
    this.#bell.close();
    this.#queue.close();
    this.#queue.unlink();
    this.#peer?.bell.close();
    this.#peer?.notices.close();
    this.#peer?.pool.close();
    this.#peer?.control.close();
    this.#heartbeat.stop();
    this.#life[Symbol.dispose]();
  }
}

/** What an honest cache says of a response that is whole in its first portion. */
export function writeWhole(segment: Segment, body: Uint8Array, wanted: WantedResponse | undefined): void {
  const head = Buffer.from(wanted?.wire === "http" ? "Content-Type: text/plain\r\n\r\n" : "");
  segment.bytes.set(head, FIRST_PAYLOAD_OFFSET);
  segment.bytes.set(body, FIRST_PAYLOAD_OFFSET + head.length);
  writePortion(segment.i32, portionOf(head.length + body.length, body.length), responseOf(head.length));
}

function portionOf(bytes: number, bodyBytes: number): PortionAnswer {
  const flags = { last: true, open: false, replayable: false, loan: undefined, trailers: false };
  return { kind: "portion", bytes, bodyBytes, availableBytes: bytes, payloadOffset: FIRST_PAYLOAD_OFFSET, ...flags };
}

function responseOf(headBytes: number): ResponseAnswer {
  const handling = { forwardStatus: undefined, stored: false, collapsed: false, hasCacheStatus: false };
  const freshness = { ageSeconds: 1, ttlSeconds: 60, hotVersion: undefined };
  return { status: 200, headBytes, verdict: "hit", ...freshness, ...handling };
}
