import type { StoredResponse } from "../stored-response.ts";
import { BodyFile } from "./body-file.ts";
import type { BodyStore } from "./body-store.ts";
import { CopyTable } from "./copy-table.ts";

/** The tier that the copies are entries of. */
export interface CopiesTier {
  slotOf(response: StoredResponse): number | undefined;
  /** Makes `body` the file of an entry for `response`, in place of what that replaces; undefined when there is no room or the medium refuses. */
  commit(response: StoredResponse, body: BodyFile): number | undefined;
  /** Writes the metadata of an entry anew; where that fails, the entry goes. */
  rewrite(slot: number, response: StoredResponse): void;
  /** `response` does not stand for the entry any more. */
  disown(slot: number, response: StoredResponse): void;
  touch(slot: number, uses: number): void;
  drop(slot: number): void;
}

/**
 * Entries of the disk tier that the memory tier holds too, which answers for them: their files wait for a restart, or for memory to let them go. An original is
 * named by its slot in the memory tier.
 */
export class DiskCopies {
  readonly #tier: CopiesTier;
  readonly #table = new CopyTable();
  /** Originals whose copies do not say what is known of them now. */
  readonly #outdated = new Set<number>();
  /** Bodies of copies that somebody still reads, who began before memory had them. */
  readonly #readBodies = new Map<number, BodyFile>();

  constructor(tier: CopiesTier) {
    this.#tier = tier;
  }

  get count(): number {
    return this.#table.count;
  }

  has(original: number): boolean {
    return this.#table.of(original) !== undefined;
  }

  /** What the entry in `slot` is a copy of. */
  originalOf(slot: number): number | undefined {
    return this.#table.originalOf(slot);
  }

  /** The body of an entry that is a copy, or has been one, where somebody has read it since before. */
  bodyAt(slot: number): BodyFile | undefined {
    return this.#readBodies.get(slot);
  }

  /** Stores `body` as the copy of `response`. @param body Filled by the caller, who holds it; it is discarded when it is not taken. */
  store(response: StoredResponse, body: BodyFile, original: number): boolean {
    const slot = this.#tier.commit(response, body);
    if (slot === undefined) {
      body.discard();
      return false;
    }
    this.#table.add(original, slot);
    return true;
  }

  /** `response` is an entry of this tier, and in the memory tier too, which answers for it from now on: the file is its copy. @param body What it had here. */
  shadow(response: StoredResponse, body: BodyStore, original: number): void {
    const slot = this.#tier.slotOf(response);
    if (slot === undefined) return;
    if (body instanceof BodyFile && body.isHeld) this.#readBodies.set(slot, body);
    this.#tier.disown(slot, response);
    this.#table.add(original, slot);
  }

  touch(original: number, uses: number): void {
    const slot = this.#table.of(original);
    if (slot !== undefined) this.#tier.touch(slot, uses);
  }

  /** An original has been validated: until its copy is written anew, a restart would begin with what was known before. */
  outdate(original: number): void {
    if (this.has(original)) this.#outdated.add(original);
  }

  /** An original whose copy waits for {@link renew}. */
  get firstOutdated(): number | undefined {
    for (const original of this.#outdated) return original;
    return undefined;
  }

  /** Writes the metadata of a copy anew. @param response The original. */
  renew(original: number, response: StoredResponse | undefined): void {
    this.#outdated.delete(original);
    const slot = this.#table.of(original);
    if (slot !== undefined && response !== undefined) this.#tier.rewrite(slot, response);
  }

  /** The memory tier lets an original go: the disk tier answers again. */
  uncover(original: number, response: () => StoredResponse): void {
    if (this.#outdated.has(original)) this.renew(original, response());
    this.#table.remove(original);
  }

  /** An original is not to be used any more, from any tier. */
  drop(original: number): void {
    const slot = this.#table.of(original);
    if (slot !== undefined) this.#tier.drop(slot);
  }

  /** A response stands for the entry in `slot` from now on, with the body that it has. */
  owned(slot: number): void {
    this.#readBodies.delete(slot);
  }

  /** There is no entry in `slot` any more. */
  forget(slot: number): void {
    this.#readBodies.delete(slot);
    const original = this.#table.originalOf(slot);
    if (original === undefined) return;
    this.#table.remove(original);
    this.#outdated.delete(original);
  }
}
