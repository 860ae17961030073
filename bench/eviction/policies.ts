import { S3Fifo } from "../../packages/cache/src/index.ts";
import type { Trace } from "./traces.ts";

/** A cache of object numbers under one policy, limited in bytes. */
export interface Policy {
  /** True for a hit; after a miss the object is in, where it fits. @param index Of the request in the trace. */
  use(number: number, bytes: number, index: number): boolean;
}

export type PolicyMaker = (limit: number, trace: Trace) => Policy;

const hashOf = (number: number) => Bun.hash.xxHash32(String(number));

/** What the product uses. */
export const ours: PolicyMaker = (limit) => {
  const order = new S3Fifo(limit);
  const slots = new Map<number, number>();
  const numbers: number[] = [];
  return {
    use(number, bytes) {
      const found = slots.get(number);
      if (found !== undefined) {
        order.touch(found);
        return true;
      }
      if (bytes > limit) return false;
      while (order.weight + bytes > limit) slots.delete(numbers[order.evict()!]!);
      const slot = order.insert(hashOf(number), bytes);
      slots.set(number, slot);
      numbers[slot] = number;
      return false;
    },
  };
};

interface Entry {
  bytes: number;
  frequency: number;
  isMain: boolean;
}

/** S3-FIFO once more, from the paper's text and with plain maps for queues: the bar, and the check of ours. */
export const sketch: PolicyMaker = (limit) => {
  const small = new Map<number, Entry>(); // a Map is a FIFO queue: its first key is what came first
  const main = new Map<number, Entry>();
  const ghost = new Map<number, number>();
  const used = { small: 0, main: 0, ghost: 0 };
  const mainLimit = limit * 0.9;
  const first = <Value>(queue: Map<number, Value>) => queue.entries().next().value!;
  const remember = (number: number, bytes: number) => {
    ghost.set(number, bytes);
    used.ghost += bytes;
    while (used.ghost > mainLimit) {
      const [oldest, itsBytes] = first(ghost);
      ghost.delete(oldest);
      used.ghost -= itsBytes;
    }
  };
  const evictFromMain = () => {
    for (;;) {
      const [number, entry] = first(main);
      main.delete(number);
      if (entry.frequency > 0) {
        entry.frequency--;
        main.set(number, entry);
      } else {
        used.main -= entry.bytes;
        return;
      }
    }
  };
  const evictFromSmall = () => {
    const [number, entry] = first(small);
    small.delete(number);
    used.small -= entry.bytes;
    if (entry.frequency > 1) {
      main.set(number, { bytes: entry.bytes, frequency: 0, isMain: true });
      used.main += entry.bytes;
    } else remember(number, entry.bytes);
  };
  return {
    use(number, bytes) {
      const entry = small.get(number) ?? main.get(number);
      if (entry !== undefined) {
        entry.frequency = Math.min(3, entry.frequency + 1);
        return true;
      }
      if (bytes > limit) return false;
      while (used.small + used.main + bytes > limit) {
        if (used.main > mainLimit || small.size === 0) evictFromMain();
        else evictFromSmall();
      }
      const isGhost = ghost.has(number);
      if (isGhost) {
        used.ghost -= ghost.get(number)!;
        ghost.delete(number);
      }
      (isGhost ? main : small).set(number, { bytes, frequency: 0, isMain: isGhost });
      if (isGhost) used.main += bytes;
      else used.small += bytes;
      return false;
    },
  };
};

export const lru: PolicyMaker = (limit) => {
  const order = new Map<number, number>();
  let used = 0;
  return {
    use(number, bytes) {
      const isHit = order.delete(number);
      if (!isHit) {
        if (bytes > limit) return false;
        used += bytes;
        for (const [oldest, itsBytes] of order) {
          if (used <= limit) break;
          order.delete(oldest);
          used -= itsBytes;
        }
      }
      order.set(number, bytes);
      return isHit;
    },
  };
};

/** Zhang et al., NSDI 2024: one queue, a hand that passes from its old end to its young one and lets go what was not used. */
export const sieve: PolicyMaker = (limit) => {
  interface Node {
    number: number;
    bytes: number;
    used: boolean;
    older: Node | undefined;
    younger: Node | undefined;
  }
  const nodes = new Map<number, Node>();
  let oldest: Node | undefined;
  let youngest: Node | undefined;
  let hand: Node | undefined;
  let used = 0;
  const evict = () => {
    let node = hand ?? oldest!;
    while (node.used) {
      node.used = false;
      node = node.younger ?? oldest!;
    }
    hand = node.younger;
    if (node.older === undefined) oldest = node.younger;
    else node.older.younger = node.younger;
    if (node.younger === undefined) youngest = node.older;
    else node.younger.older = node.older;
    nodes.delete(node.number);
    used -= node.bytes;
  };
  return {
    use(number, bytes) {
      const found = nodes.get(number);
      if (found !== undefined) {
        found.used = true;
        return true;
      }
      if (bytes > limit) return false;
      while (used + bytes > limit) evict();
      const node: Node = { number, bytes, used: false, older: youngest, younger: undefined };
      if (youngest === undefined) oldest = node;
      else youngest.younger = node;
      youngest = node;
      nodes.set(number, node);
      used += bytes;
      return false;
    },
  };
};

/** Megiddo and Modha, FAST 2003, with bytes for pages. */
export const arc: PolicyMaker = (limit) => {
  class Queue extends Map<number, number> {
    bytes = 0;
    push(number: number, bytes: number): void {
      this.set(number, bytes);
      this.bytes += bytes;
    }
    pull(number: number): boolean {
      const bytes = this.get(number);
      if (bytes === undefined) return false;
      this.bytes -= bytes;
      return this.delete(number);
    }
    shift(): [number, number] {
      const first = this.entries().next().value!;
      this.pull(first[0]);
      return first;
    }
  }
  const recent = new Queue();
  const frequent = new Queue();
  const recentGhosts = new Queue();
  const frequentGhosts = new Queue();
  let target = 0;
  const replace = (bytes: number, wasFrequent: boolean) => {
    while (recent.bytes + frequent.bytes + bytes > limit) {
      const fromRecent = recent.size > 0 && (recent.bytes > target || (wasFrequent && recent.bytes >= target));
      if (fromRecent || frequent.size === 0) recentGhosts.push(...recent.shift());
      else frequentGhosts.push(...frequent.shift());
    }
  };
  return {
    use(number, bytes) {
      if (recent.pull(number) || frequent.pull(number)) {
        frequent.push(number, bytes);
        return true;
      }
      if (bytes > limit) return false;
      const ratio = (more: Queue, less: Queue) => Math.max(bytes, (bytes * more.bytes) / Math.max(1, less.bytes));
      if (recentGhosts.has(number)) {
        target = Math.min(limit, target + ratio(frequentGhosts, recentGhosts));
        recentGhosts.pull(number);
        replace(bytes, false);
        frequent.push(number, bytes);
      } else if (frequentGhosts.has(number)) {
        target = Math.max(0, target - ratio(recentGhosts, frequentGhosts));
        frequentGhosts.pull(number);
        replace(bytes, true);
        frequent.push(number, bytes);
      } else {
        replace(bytes, false);
        recent.push(number, bytes);
        while (recentGhosts.size > 0 && recent.bytes + recentGhosts.bytes > limit) recentGhosts.shift();
        const all = () => recent.bytes + frequent.bytes + recentGhosts.bytes + frequentGhosts.bytes;
        while (frequentGhosts.size > 0 && all() > 2 * limit) frequentGhosts.shift();
      }
      return false;
    },
  };
};

/** Knows the future: lets go what is asked for again last. With sizes it is no optimum, but no policy without foresight comes near. */
export const belady: PolicyMaker = (limit, { requests }) => {
  const nextUse = new Float64Array(requests.length);
  const last = new Map<number, number>();
  for (let index = requests.length - 1; index >= 0; index--) {
    nextUse[index] = last.get(requests[index]!) ?? Number.POSITIVE_INFINITY;
    last.set(requests[index]!, index);
  }
  const stored = new Map<number, { bytes: number; nextUse: number }>();
  const heap: { number: number; nextUse: number }[] = []; // the farthest first; what it says may be outdated
  const isBefore = (a: number, b: number) => heap[a]!.nextUse > heap[b]!.nextUse;
  const swap = (a: number, b: number) => {
    [heap[a], heap[b]] = [heap[b]!, heap[a]!];
  };
  const push = (number: number, use: number) => {
    heap.push({ number, nextUse: use });
    for (let at = heap.length - 1; at > 0; ) {
      const parent = (at - 1) >> 1;
      if (!isBefore(at, parent)) break;
      swap(at, parent);
      at = parent;
    }
  };
  const pop = () => {
    const top = heap[0]!;
    const end = heap.pop()!;
    if (heap.length === 0) return top;
    heap[0] = end;
    for (let at = 0; ; ) {
      const child = 2 * at + 1;
      if (child >= heap.length) return top;
      const larger = child + 1 < heap.length && isBefore(child + 1, child) ? child + 1 : child;
      if (!isBefore(larger, at)) return top;
      swap(at, larger);
      at = larger;
    }
  };
  let used = 0;
  return {
    use(number, bytes, index) {
      const found = stored.get(number);
      const use = nextUse[index]!;
      if (found !== undefined) {
        found.nextUse = use;
        push(number, use);
        return true;
      }
      if (bytes > limit || use === Number.POSITIVE_INFINITY) return false;
      while (used + bytes > limit) {
        const victim = pop();
        const entry = stored.get(victim.number);
        if (entry === undefined || entry.nextUse !== victim.nextUse) continue;
        if (victim.nextUse < use) {
          push(victim.number, victim.nextUse);
          return false;
        }
        stored.delete(victim.number);
        used -= entry.bytes;
      }
      stored.set(number, { bytes, nextUse: use });
      used += bytes;
      push(number, use);
      return false;
    },
  };
};
