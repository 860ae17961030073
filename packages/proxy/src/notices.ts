import { MessageQueue, type ObjectName } from "@proj/ipc";
import { type Counters, NOTICE_MESSAGE_BYTES_MAX, type ProxyCounter, readNotices } from "@proj/protocol";

/** How long a notice is waited for before the question is asked again: an origin rarely takes longer, and each asking costs two messages. */
const NOTICE_TIMEOUT_MS = 2_000;
const NO_NOTICES: readonly number[] = [];

/** Who waits for a notice. */
export interface NoticeOwner {
  /** Whether it can do without the answer, should the shard that owes it stand still. */
  readonly canDoWithout: boolean;
  /** The cache has something to read for a transfer that it answered `pending`. */
  noticed(): void;
  /** The cache that knew this transfer has died. */
  lost(): void;
}

/** Transfers of one thread that the cache has answered `pending`, and the queue on which it says that there is something to read. */
export class Notices {
  readonly #life: number;
  readonly #counters: Counters<ProxyCounter>;
  readonly #now: () => number;
  readonly #queue: MessageQueue;
  readonly #bytes = new Uint8Array(new ArrayBuffer(NOTICE_MESSAGE_BYTES_MAX));
  readonly #view = new DataView(this.#bytes.buffer);
  readonly #expecting = new Map<number, { owner: NoticeOwner; sinceMs: number }>();

  /**
   * Makes the queue.
   *
   * @param life The proxy's own: what is said to another one is refused.
   * @throws {SystemCallError} It can not be made.
   */
  constructor(name: ObjectName, life: number, counters: Counters<ProxyCounter>, now: () => number) {
    this.#life = life;
    this.#counters = counters;
    this.#now = now;
    this.#queue = MessageQueue.create(name, { maxmsg: 10, msgsize: NOTICE_MESSAGE_BYTES_MAX });
  }

  get areExpected(): boolean {
    return this.#expecting.size > 0;
  }

  expect(transfer: number, owner: NoticeOwner): void {
    this.#expecting.set(transfer, { owner, sinceMs: this.#now() });
  }

  forget(transfer: number): void {
    this.#expecting.delete(transfer);
  }

  /** The transfers that notice has been given of since the last look, if any is {@link areExpected expected}. */
  take(): readonly number[] {
    let notices = NO_NOTICES;
    if (!this.areExpected) return notices;
    for (;;) {
      const bytes = this.#queue.tryReceive(this.#bytes);
      if (bytes === undefined) return notices;
      const transfers = readNotices(this.#view, bytes, this.#life);
      if (transfers === undefined) this.#counters.add("refusedMessages");
      else notices = [...notices, ...transfers];
    }
  }

  /** Tells those who wait for these. */
  handOut(transfers: readonly number[]): void {
    for (const transfer of transfers) {
      const expecting = this.#expecting.get(transfer);
      this.#expecting.delete(transfer);
      expecting?.owner.noticed();
    }
  }

  /** A notice that was lost must not be waited for without end: who has waited for long asks again, and is told `pending` again if that is so. */
  tellOverdue(): void {
    const deadline = this.#now() - NOTICE_TIMEOUT_MS;
    const due: number[] = [];
    for (const [transfer, { sinceMs }] of this.#expecting) if (sinceMs <= deadline) due.push(transfer);
    this.handOut(due);
  }

  /** A shard stands still, and it is not known here who waits for that one: all who can do without ask again. */
  tellWhoCanDoWithout(): void {
    this.handOut([...this.#expecting].flatMap(([transfer, { owner }]) => (owner.canDoWithout ? [transfer] : [])));
  }

  /** The cache has died: there will be no notice of what it was asked. Returns those who wait. */
  lose(): readonly NoticeOwner[] {
    const owners = [...this.#expecting.values()].map(({ owner }) => owner);
    this.#expecting.clear();
    return owners;
  }

  close(): void {
    this.#queue.close();
    this.#queue.unlink();
  }
}
