import type { StoredResponse } from "../stored-response.ts";
import { BlockList } from "./block-list.ts";
import type { BodyStore } from "./body-store.ts";
import type { Loans } from "./loans.ts";
import { ResponseTable, type TableEvents } from "./response-table.ts";
import type { Storage } from "./storage.ts";

/** No body may take more than this part of the memory tier: larger ones have the disk tier, where there is one. */
const BODY_SHARE = 8;
const BODY_SHARE_OF_ONLY_TIER = 2;
/** One that is wanted again and again comes from there all the same, up to this part. */
const PROVEN_BODY_SHARE = 2;
/** And up to this: an object in /dev/shm is allocated in one go, for which 256 MiB keep a shard's thread for a tenth of a second. */
const PROVEN_BODY_BYTES = 256 * 1024 * 1024;

/** The memory tier of one shard. */
export class MemoryStorage implements Storage {
  readonly bodyBytesMax: number;
  /** Of a body that has proven itself on disk. */
  readonly provenBytesMax: number;
  readonly #table: ResponseTable;
  readonly #loans: Loans | undefined;

  /**
   * @param loans Makes large bodies where proxies can map them; without it all are in private memory.
   * @param isOnlyTier There is no disk tier: what this one does not take is not kept at all.
   */
  constructor(limitBytes: number, events: TableEvents, loans?: Loans, isOnlyTier = false) {
    this.#loans = loans;
    this.#table = new ResponseTable(limitBytes, events);
    this.bodyBytesMax = Math.floor(limitBytes / (isOnlyTier ? BODY_SHARE_OF_ONLY_TIER : BODY_SHARE));
    this.provenBytesMax = Math.max(
      this.bodyBytesMax,
      Math.min(PROVEN_BODY_BYTES, Math.floor(limitBytes / PROVEN_BODY_SHARE)),
    );
  }

  get limitBytes(): number {
    return this.#table.limitBytes;
  }
  get usedBytes(): number {
    return this.#table.usedBytes;
  }
  get count(): number {
    return this.#table.count;
  }

  /** See {@link ResponseTable.couldTake}. */
  couldTake(bytes: number): boolean {
    return this.#table.couldTake(bytes);
  }

  newBody(expectedBytes: number | undefined): BodyStore {
    const lent = expectedBytes === undefined ? undefined : this.#loans?.newBody(expectedBytes, this.#table);
    return lent ?? new BlockList(this.#table, expectedBytes);
  }

  lookup(key: string): readonly StoredResponse[] {
    return this.#table.lookup(key);
  }

  get slotsEnd(): number {
    return this.#table.slotsEnd;
  }

  responseAt(slot: number): StoredResponse | undefined {
    return this.#table.responseAt(slot);
  }

  slotOf(response: StoredResponse): number | undefined {
    return this.#table.slotOf(response);
  }

  /** Of so many slots from `slot` on, what is of no use to anybody any more. @param nowSeconds Since the epoch. */
  *useless(slot: number, slots: number, nowSeconds: number): Iterable<StoredResponse> {
    for (let one = slot; one < Math.min(slot + slots, this.slotsEnd); one++) {
      const response = this.#table.isUseless(one, nowSeconds) ? this.responseAt(one) : undefined;
      if (response !== undefined) yield response;
    }
  }

  has(response: StoredResponse): boolean {
    return this.slotOf(response) !== undefined;
  }

  adopt(response: StoredResponse): void {
    this.#table.adopt(response);
  }

  touch(response: StoredResponse, uses: number): void {
    this.#table.touch(response, uses);
  }

  renewed(response: StoredResponse): void {
    this.#table.renewed(response);
  }

  store(response: StoredResponse): boolean {
    const { body } = response;
    if (this.#table.insert(response)) return true;
    body.discard();
    return false;
  }

  invalidate(key: string, response?: StoredResponse): number {
    return this.#table.invalidate(key, response);
  }

  close(): void {
    this.#table.clear();
  }
}
