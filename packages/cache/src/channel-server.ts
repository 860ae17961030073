import {
  Doorbell,
  DoorbellRinger,
  EventLoop,
  MessageQueue,
  objectName,
  type Segment,
  SegmentPool,
  SharedMemory,
  SystemCallError,
} from "@proj/ipc";
import { everyBeat, type Heartbeat } from "@proj/process";
import {
  type CacheCounter,
  type ChannelRequest,
  type Counters,
  channelNames,
  type Invalidation,
  isAsked,
  isOfOtherVersion,
  NEXT_PAYLOAD_OFFSET,
  NOTICE_MESSAGE_BYTES_MAX,
  NOTICES_PER_MESSAGE,
  type PassedResponse,
  type PortionAnswer,
  REQUEST_BYTES,
  REQUEST_MESSAGE_BYTES_MAX,
  type Refusal,
  type ResponseAnswer,
  readControlBlock,
  readInvalidationBlock,
  readPassedResponseBlock,
  readRequest,
  readRequestBlock,
  requestsIn,
  sleepingOffset,
  THREADS_MAX,
  takeRoomWanted,
  type WantedResponse,
  writeNotices,
  writePortion,
  writeRefusal,
} from "@proj/protocol";

/** One segment that waits for an answer: the proxy's question, and the only way to answer it. */
export interface Ask {
  /** Which transfer of which proxy thread: unique among the transfers of one life of the proxy. */
  readonly transfer: number;
  readonly thread: number;
  readonly firstByte: number;
  readonly bytesMax: number;
  /** The whole segment: a portion is written straight into it. Empty once its owner has replaced it: then nobody waits for an answer. */
  readonly bytes: Uint8Array;
}

/** What the shard does with what is asked; called once for each record, in the order of the queue. */
export interface AskHandler {
  /** False: there is such a transfer already, and what has begun for one request must not go on with what another wants; or its key is another shard's. */
  open(ask: Ask, wanted: WantedResponse): boolean;
  read(ask: Ask): void;
  close(transfer: number): void;
  /** An unsafe request has changed these: when this returns, nobody gets what was stored of them. False: some are another shard's. */
  invalidate(what: Invalidation): boolean;
  /** A response to POST that has passed, and may be stored. False: its key is another shard's. */
  keep(passed: PassedResponse): boolean;
  /** The proxy has died or come back in another life: nobody waits for any answer any more. */
  forgetAll(): void;
}

interface PendingAsk extends Ask {
  readonly segment: Segment;
  readonly ticket: number;
  readonly life: number;
}

/** The answer to what has been done and brings nothing. */
const DONE: PortionAnswer = {
  kind: "portion",
  bytes: 0,
  last: true,
  open: false,
  replayable: false,
  bodyBytes: 0,
  availableBytes: 0,
  payloadOffset: NEXT_PAYLOAD_OFFSET,
  loan: undefined,
  trailers: false,
};
/** How long one look may go on before the event loop gets its turn, in messages. */
const MESSAGES_PER_LOOK = 16;
/** Each 250 ms. The memory of a proxy that has died is free when we have let go of it too, and its successor may be waiting for that. */
const BEATS_PER_PEER_CHECK = 5;
const NOTICE_RETRY_MS = 2;

/** Memory, descriptors: of this process, or of the machine. */
const KERNEL_LIMITS: readonly string[] = ["ENOMEM", "EMFILE", "ENFILE"];

function isKernelLimit(error: unknown): error is SystemCallError {
  return error instanceof SystemCallError && KERNEL_LIMITS.includes(error.code);
}

/** Its owner has given it up, and another segment that was opened since has shown that: it is not mapped any more. */
export function isReplaced({ bytes }: Ask): boolean {
  return bytes.length === 0;
}

/** One life of the proxy, as this shard sees it: its pool and its doorbells. */
interface Peer {
  life: number;
  pid: number;
  startTime: number;
  control: SharedMemory;
  pool: SegmentPool;
  ringers: (DoorbellRinger | undefined)[];
  noticeQueues: (MessageQueue | undefined)[];
}

/** The cache's end of the channel, for one shard: steps 5 to 8 of the flow, without what happens between them. */
export class ChannelServer {
  readonly #names;
  readonly #shard: number;
  readonly #control: SharedMemory;
  readonly #counters: Counters<CacheCounter>;
  readonly #handler: AskHandler;
  readonly #isAlive: (pid: number, startTime: number) => boolean;
  readonly #onUnreadable: (error: SystemCallError) => void;
  readonly #onOtherVersion: () => void;
  readonly #queue: MessageQueue;
  readonly #bell: Doorbell;
  readonly #message = new Uint8Array(new ArrayBuffer(REQUEST_MESSAGE_BYTES_MAX));
  readonly #view = new DataView(this.#message.buffer);
  readonly #noticeMessage = new Uint8Array(new ArrayBuffer(NOTICE_MESSAGE_BYTES_MAX));
  readonly #noticeView = new DataView(this.#noticeMessage.buffer);
  readonly #notices: number[] = [];
  readonly #toRing = new Set<number>();
  readonly #loop = EventLoop.current();
  readonly #peerChecks: Heartbeat;
  #peer: Peer | undefined;
  #looking = false;
  #isUnreadable = false;
  #saidOtherVersion = false;
  /** At the end of this turn of the event loop: what its sockets brought is told of at once. */
  #ringing = false;

  /**
   * Opens the shard's request queue and listens at its doorbell.
   *
   * @param control The cache's own control block; it outlives this object.
   * @throws {SystemCallError} `ENOENT`: the queue has not been made. `EEXIST`: another thread listens at this doorbell.
   */
  constructor(options: {
    channel: string;
    shard: number;
    control: SharedMemory;
    counters: Counters<CacheCounter>;
    handler: AskHandler;
    isAlive: (pid: number, startTime: number) => boolean;
    /** Told of the first of several messages in a row that are refused since the kernel does not let us open what they name. */
    onUnreadable: (error: SystemCallError) => void;
    /** Told once of a proxy whose layout is another than ours, which is refused. */
    onOtherVersion: () => void;
  }) {
    this.#names = channelNames(options.channel);
    this.#shard = options.shard;
    this.#control = options.control;
    this.#counters = options.counters;
    this.#handler = options.handler;
    this.#isAlive = options.isAlive;
    this.#onUnreadable = options.onUnreadable;
    this.#onOtherVersion = options.onOtherVersion;
    this.#queue = MessageQueue.open(objectName(this.#names.requestQueue(options.shard)));
    this.#bell = Doorbell.listen({
      name: objectName(this.#names.bell("cache", options.shard)),
      flag: { memory: options.control, offset: sleepingOffset(options.shard) },
      loop: this.#loop,
      look: () => this.#look(),
    });
    this.#peerChecks = everyBeat(() => this.#checkPeer(), BEATS_PER_PEER_CHECK);
  }

  /** Step 8 after step 7: the portion's bytes are in the segment; tells the proxy so. The ask is spent. */
  answer(ask: Ask, portion: PortionAnswer, response?: ResponseAnswer): void {
    if (isReplaced(ask)) return;
    writePortion((ask as PendingAsk).segment.i32, portion, response);
    this.#counters.add("portions");
    this.#counters.add("copiedBytes", portion.bytes);
    this.#post(ask as PendingAsk);
  }

  /** Step 8 after step 6: says why there is no portion. The ask is spent. */
  refuse(ask: Ask, refusal: Refusal): void {
    if (isReplaced(ask)) return;
    writeRefusal((ask as PendingAsk).segment.i32, refusal);
    this.#post(ask as PendingAsk);
  }

  /** Tells the proxy that a transfer which was answered `pending` now has something to read. */
  notify(transfer: number): void {
    if (this.#notices.length === 0) queueMicrotask(() => this.#sendNotices());
    this.#notices.push(transfer);
  }

  close(): void {
    this.#peerChecks.stop();
    this.#bell.close();
    this.#queue.close();
    this.#dropPeer();
  }

  #post(ask: PendingAsk): void {
    if (ask.life !== this.#peer?.life) return; // a former life's memory: nobody waits there
    this.#postSemaphore(ask.segment);
    this.#toRing.add(ask.thread);
    if (this.#looking || this.#ringing) return;
    this.#ringing = true;
    this.#loop.atEndOfTurn(() => {
      this.#ringing = false;
      this.#ringAll();
    });
  }

  #postSemaphore({ semaphore }: Segment): void {
    try {
      semaphore.post();
    } catch (error) {
      // It had been made 0 for this answer: somebody else writes there, and who waits finds it posted as it is.
      if (!(error instanceof SystemCallError) || error.code !== "EOVERFLOW") throw error;
      this.#counters.add("refusedMessages");
    }
  }

  #ringAll(): void {
    for (const thread of this.#toRing) this.#ring(thread);
    this.#toRing.clear();
  }

  #sendNotices(): void {
    const peer = this.#peer;
    const byThread = new Map<number, number[]>();
    for (const transfer of this.#notices.splice(0)) {
      const thread = Math.floor(transfer / 2 ** 32);
      const transfers = byThread.get(thread);
      if (transfers === undefined) byThread.set(thread, [transfer]);
      else transfers.push(transfer);
    }
    if (peer === undefined) return;
    for (const [thread, transfers] of byThread) {
      for (let from = 0; from < transfers.length; from += NOTICES_PER_MESSAGE) {
        const part = transfers.slice(from, from + NOTICES_PER_MESSAGE);
        if (!this.#sendNotice(peer, thread, part)) this.#notifyLater(part);
      }
      this.#ring(thread);
    }
  }

  #notifyLater(transfers: readonly number[]): void {
    setTimeout(() => {
      for (const transfer of transfers) this.notify(transfer);
    }, NOTICE_RETRY_MS);
  }

  /** False when the thread's notice queue is full. */
  #sendNotice(peer: Peer, thread: number, transfers: readonly number[]): boolean {
    try {
      peer.noticeQueues[thread] ??= MessageQueue.open(objectName(this.#names.noticeQueue(thread)));
    } catch {
      return true; // no such thread any more: nobody waits for it
    }
    const numbers = transfers.map((transfer) => transfer % 2 ** 32);
    const bytes = writeNotices(this.#noticeView, peer.life, numbers);
    return peer.noticeQueues[thread].trySend(this.#noticeMessage.subarray(0, bytes));
  }

  #ring(thread: number): void {
    const peer = this.#peer;
    if (peer === undefined) return;
    try {
      peer.ringers[thread] ??= DoorbellRinger.open({
        name: objectName(this.#names.bell("proxy", thread)),
        flag: { memory: peer.control, offset: sleepingOffset(thread) },
      });
    } catch {
      return; // no such thread any more: its process notices by itself, and so does our peer check
    }
    const ringer = peer.ringers[thread];
    if (ringer.ring()) this.#counters.add("bellsRung");
    if (ringer.gone) {
      ringer.close();
      peer.ringers[thread] = undefined;
    }
  }

  /** Step 5: takes what the queue holds. True when there was something. */
  #look(): boolean {
    this.#counters.set("lostWakeups", this.#bell?.lostWakeups ?? 0);
    let messages = 0;
    for (; messages < MESSAGES_PER_LOOK; messages++) {
      const bytes = this.#queue.tryReceive(this.#message);
      if (bytes === undefined) break;
      this.#answerMessage(bytes);
    }
    if (messages > 0) {
      this.#counters.add("messagesReceived", messages);
      for (const thread of takeRoomWanted(this.#control.i32, this.#shard)) this.#ring(thread);
    }
    return messages > 0;
  }

  /** One ring for all that a message asked; not one for all messages, since copying what they ask for takes milliseconds. */
  #answerMessage(bytes: number): void {
    this.#looking = true;
    try {
      this.#takeMessage(bytes);
    } finally {
      this.#looking = false;
    }
    this.#ringAll();
  }

  #takeMessage(bytes: number): void {
    const records = requestsIn(bytes);
    if (records === undefined) return this.#counters.add("refusedMessages");
    for (let index = 0; index < records; index++) {
      const request = readRequest(this.#view, index * REQUEST_BYTES);
      if (request === undefined && isOfOtherVersion(this.#view, index * REQUEST_BYTES)) this.#sayOtherVersion();
      if (request === undefined || !this.#attach(request.proxyLife) || !this.#take(request))
        this.#counters.add("refusedMessages");
    }
  }

  #take(request: ChannelRequest): boolean {
    if (request.thread >= THREADS_MAX) return false;
    const transfer = request.thread * 2 ** 32 + request.transfer;
    if (request.operation === "close") {
      this.#handler.close(transfer);
      return true;
    }
    const segment = this.#segmentOf(request);
    if (segment === undefined) return false;
    const ask: PendingAsk = {
      transfer,
      thread: request.thread,
      firstByte: request.firstByte,
      bytesMax: request.bytesMax,
      bytes: segment.bytes,
      segment,
      ticket: request.ticket,
      life: request.proxyLife,
    };
    if (request.operation === "read") {
      this.#handler.read(ask);
      return true;
    }
    if (request.operation === "invalidate") {
      return this.#handleBlock(ask, readInvalidationBlock(ask.bytes, ask.bytesMax), (what) =>
        this.#handler.invalidate(what),
      );
    }
    if (request.operation === "keep") {
      return this.#handleBlock(ask, readPassedResponseBlock(ask.bytes, ask.bytesMax), (passed) =>
        this.#handler.keep(passed),
      );
    }
    const wanted = readRequestBlock(segment.bytes, request.bytesMax);
    if (wanted === undefined) {
      this.refuse(ask, "refused");
      return false;
    }
    if (!this.#handler.open(ask, wanted)) {
      this.refuse(ask, "refused");
      return false;
    }
    this.#counters.add("requests");
    return true;
  }

  /** Does what a block says, and answers that it is done. */
  #handleBlock<Block>(ask: PendingAsk, block: Block | undefined, handle: (block: Block) => boolean): boolean {
    if (block === undefined || !handle(block)) {
      this.refuse(ask, "refused");
      return false;
    }
    writePortion(ask.segment.i32, DONE, undefined);
    this.#post(ask);
    return true;
  }

  /** The segment that a record names, when all that the record says of it is true. */
  #segmentOf(request: ChannelRequest): Segment | undefined {
    const pool = this.#peer!.pool;
    if (request.segmentId >= pool.segments || request.segmentBytes !== pool.segmentBytes) return undefined;
    const segment = this.#mapped(pool, request);
    return segment !== undefined && isAsked(segment.i32, request.ticket) ? segment : undefined;
  }

  #mapped(pool: SegmentPool, { segmentId, segmentGeneration }: ChannelRequest): Segment | undefined {
    try {
      const segment = pool.segment(segmentId, segmentGeneration);
      this.#isUnreadable = false;
      return segment;
    } catch (error) {
      if (!isKernelLimit(error)) throw error;
      this.#sayUnreadable(error);
      return undefined;
    }
  }

  #sayOtherVersion(): void {
    if (!this.#saidOtherVersion) this.#onOtherVersion();
    this.#saidOtherVersion = true;
  }

  #sayUnreadable(error: SystemCallError): void {
    this.#counters.add("unreadableMessages");
    if (this.#isUnreadable) return;
    this.#isUnreadable = true;
    this.#onUnreadable(error);
  }

  /** Makes the proxy's life `life` the one that this shard talks to; false when that life is over or not to be understood. */
  #attach(life: number): boolean {
    if (this.#peer?.life === life) return true;
    let control: SharedMemory | undefined;
    try {
      control = SharedMemory.open(objectName(this.#names.controlBlock("proxy")));
      const block = readControlBlock(control.buffer);
      if (block === "other-version") {
        this.#sayOtherVersion();
        this.#counters.add("unreadableMessages"); // it does without us, and need not wait until we are late
      }
      if (typeof block === "object" && block.life === life) {
        const pool = SegmentPool.open(objectName(this.#names.pool));
        this.#dropPeer();
        this.#peer = { life, pid: block.pid, startTime: block.startTime, control, pool, ringers: [], noticeQueues: [] };
        return true;
      }
    } catch (error) {
      // The proxy of this record has gone, or is going: its record is dropped. Or the kernel refuses us what it takes to read it.
      if (isKernelLimit(error)) this.#sayUnreadable(error);
    }
    control?.close();
    return false;
  }

  #checkPeer(): void {
    const peer = this.#peer;
    if (peer !== undefined && !this.#isAlive(peer.pid, peer.startTime)) this.#dropPeer();
  }

  #dropPeer(): void {
    const peer = this.#peer;
    if (peer === undefined) return;
    this.#peer = undefined;
    this.#handler.forgetAll();
    for (const ringer of peer.ringers) ringer?.close();
    for (const queue of peer.noticeQueues) queue?.close();
    peer.pool.close();
    peer.control.close();
  }
}
