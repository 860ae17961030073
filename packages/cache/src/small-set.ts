/** A set that mostly has one member, or none: then there is no hash table, which takes as long to make as a look-up in twenty. Members keep the order in which they came. */
export class SmallSet<Member extends object> {
  /** The only one, as long as there has been no second. */
  #only: Member | undefined;
  #members: Set<Member> | undefined;

  get size(): number {
    return this.#members?.size ?? (this.#only === undefined ? 0 : 1);
  }

  has(member: Member): boolean {
    return this.#members?.has(member) ?? this.#only === member;
  }

  add(member: Member): void {
    if (this.#members !== undefined) {
      this.#members.add(member);
      return;
    }
    if (this.#only === undefined) {
      this.#only = member;
      return;
    }
    if (this.#only === member) return;
    this.#members = new Set([this.#only, member]);
    this.#only = undefined;
  }

  /** Whether it was one. */
  delete(member: Member): boolean {
    if (this.#members !== undefined) return this.#members.delete(member);
    if (this.#only !== member) return false;
    this.#only = undefined;
    return true;
  }

  clear(): void {
    this.#only = undefined;
    this.#members = undefined;
  }

  /** Those that are members now, whatever comes or goes while the caller goes through them. */
  list(): readonly Member[] {
    if (this.#members !== undefined) return [...this.#members];
    return this.#only === undefined ? NOBODY : [this.#only];
  }

  /** Those that are members now, which are none any more. */
  take(): readonly Member[] {
    const members = this.list();
    this.clear();
    return members;
  }
}

const NOBODY: readonly never[] = [];
