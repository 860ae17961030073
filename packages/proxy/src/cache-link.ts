import { DoorbellRinger, MessageQueue, objectName, SharedMemory } from "@proj/ipc";
import { isSurelyAlive, StalledThreads, threadFacts } from "@proj/process";
import {
  CACHE_COUNTERS,
  type CacheCounter,
  type ChannelRequest,
  type ControlBlock,
  Counters,
  type channelNames,
  lifeIn,
  type ProxyCounter,
  REQUEST_BYTES,
  REQUEST_MESSAGE_BYTES_MAX,
  REQUESTS_PER_MESSAGE,
  readControlBlock,
  sleepingOffset,
  threadCounters,
  wantRoom,
  writeRequest,
} from "@proj/protocol";
import { RefusingShards } from "./refusing-shards.ts";

/** A spare process needs three times as long to serve in the place of a cache that has died. */
const BELIEVED_MS = 20;

/** The way to one shard. */
export interface ShardLink {
  readonly queue: Pick<MessageQueue, "trySend" | "close">;
  readonly ringer: Pick<DoorbellRinger, "ring" | "close">;
  /** Records that wait for the end of this turn of the event loop, or for room in the queue. */
  readonly outbox: ChannelRequest[];
}

/** Who looks for the cache. */
export interface LinkOwner {
  readonly names: ReturnType<typeof channelNames>;
  readonly thread: number;
  readonly counters: Counters<ProxyCounter>;
  readonly isAlive: (pid: number, startTime: number) => boolean;
}

/** One life of the cache as this thread sees it: whether it is over, which of its shards stand still, and what they are sent. */
export class CacheLink {
  readonly life: number;
  /** It outlives the link: hot tiers look at the stripes in it. */
  readonly control: SharedMemory;
  readonly watch: StalledThreads;
  readonly refusing: RefusingShards;
  readonly #pid: number;
  readonly #startTime: number;
  readonly #owner: LinkOwner;
  readonly #shards: readonly ShardLink[];
  readonly #message = new Uint8Array(new ArrayBuffer(REQUEST_MESSAGE_BYTES_MAX));
  readonly #view = new DataView(this.#message.buffer);
  /** When the kernel was asked last whether it lives. */
  #aliveMs = Number.NEGATIVE_INFINITY;

  /** @param block What `control` says. */
  constructor(owner: LinkOwner, control: SharedMemory, block: ControlBlock, shards: readonly ShardLink[]) {
    this.#owner = owner;
    this.control = control;
    this.life = block.life;
    this.#pid = block.pid;
    this.#startTime = block.startTime;
    this.#shards = shards;
    this.refusing = new RefusingShards(shards.length, refusedBy(control));
    // Turning away from a healthy shard for a moment costs a request to the origin, so this may be wrong now and then.
    this.watch = new StalledThreads(shards.length, threadFacts(block.pid));
  }

  /** The cache that serves just now, if there is one. */
  static open(owner: LinkOwner): CacheLink | "other-version" | undefined {
    const { names, isAlive } = owner;
    let control: SharedMemory | undefined;
    const shards: ShardLink[] = [];
    let isOther = false;
    try {
      control = SharedMemory.open(objectName(names.controlBlock("cache")));
      const block = readControlBlock(control.buffer);
      isOther = block === "other-version";
      if (typeof block === "object" && block.state === "serving" && isAlive(block.pid, block.startTime)) {
        for (let shard = 0; shard < block.threads; shard++) shards.push(openShard(names, shard, control));
        return new CacheLink(owner, control, block, shards);
      }
    } catch {
      // Not there yet, or half way out: the next check looks again.
    }
    for (const shard of shards) closeShard(shard);
    control?.close();
    return isOther ? "other-version" : undefined;
  }

  get shards(): number {
    return this.#shards.length;
  }

  /** Whether this life goes on. The kernel says so, and is believed for less than a restart takes. */
  isSurelyAlive(nowMs: number): boolean {
    if (nowMs - this.#aliveMs <= BELIEVED_MS) return true;
    if (!isSurelyAlive(this.#pid, this.#startTime)) return false;
    this.#aliveMs = nowMs;
    return true;
  }

  standsStill(shard: number, now: () => number): boolean {
    return this.watch.isStalled(shard) || this.refusing.isResting(shard, now);
  }

  /** Looks at the heartbeats. Returns the shards that have been found to stand still, or that this life is over. */
  look(nowMs: number): readonly number[] | "over" {
    const { fallen } = this.watch.look(this.control.i32, nowMs);
    // The kernel is asked about one that has not beaten since the last look. Another life may have made the control block its own, and beat there.
    const isOther = lifeIn(this.control.i32) !== this.life;
    return isOther || (!this.watch.hasHeard && !this.#owner.isAlive(this.#pid, this.#startTime)) ? "over" : fallen;
  }

  /** To be sent by {@link flush}: what a turn's sockets ask of one shard travels in one message. */
  post(shard: number, record: ChannelRequest): void {
    this.#shards[shard]!.outbox.push(record);
  }

  /** There was no room in a queue. */
  get hasUnsent(): boolean {
    for (const shard of this.#shards) if (shard.outbox.length > 0) return true;
    return false;
  }

  flush(): void {
    const { counters, thread } = this.#owner;
    for (const [index, shard] of this.#shards.entries()) {
      if (shard.outbox.length === 0) continue;
      if (!this.#sendOutbox(shard)) {
        // Back-pressure: say so, look once more, and else wait to be rung. The shard rings when it has made room.
        counters.add("queueFull");
        wantRoom(this.control.i32, index, thread);
        this.#sendOutbox(shard);
      }
      if (shard.ringer.ring()) counters.add("bellsRung");
    }
  }

  /** Closes all but the control block, which is the caller's from now on. */
  close(): void {
    for (const shard of this.#shards) closeShard(shard);
  }

  /** False when the queue is full before the outbox is empty. */
  #sendOutbox({ outbox, queue }: ShardLink): boolean {
    let sent = 0;
    while (sent < outbox.length) {
      const count = Math.min(REQUESTS_PER_MESSAGE, outbox.length - sent);
      for (let index = 0; index < count; index++)
        writeRequest(this.#view, index * REQUEST_BYTES, outbox[sent + index]!);
      if (!queue.trySend(this.#message.subarray(0, count * REQUEST_BYTES))) break;
      this.#owner.counters.add("messagesSent");
      sent += count;
    }
    const all = sent === outbox.length;
    if (all) outbox.length = 0;
    else outbox.splice(0, sent);
    return all;
  }
}

function openShard(names: LinkOwner["names"], shard: number, control: SharedMemory): ShardLink {
  const queue = MessageQueue.open(objectName(names.requestQueue(shard)));
  try {
    const flag = { memory: control, offset: sleepingOffset(shard) };
    return {
      queue,
      ringer: DoorbellRinger.open({ name: objectName(names.bell("cache", shard)), flag }),
      outbox: [],
    };
  } catch (error) {
    queue.close();
    throw error;
  }
}

function closeShard({ queue, ringer }: ShardLink): void {
  queue.close();
  ringer.close();
}

function refusedBy({ buffer }: SharedMemory): (shard: number) => number {
  const pages = new Map<number, Counters<CacheCounter>>();
  return (shard) => {
    const page = pages.get(shard) ?? new Counters(CACHE_COUNTERS, threadCounters(buffer, shard));
    pages.set(shard, page);
    return page.get("unreadableMessages");
  };
}
