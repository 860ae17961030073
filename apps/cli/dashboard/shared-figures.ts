import type { SecondMessage } from "../src/admin/live-message.ts";
import { count, duration, percent, size, text } from "./format.ts";
import { byId, element, setText } from "./page.ts";

/** So many nodes are shown, those first that are furthest behind. */
const NODES_SHOWN = 12;
/** A node says so each second where it is. */
const SILENT_MS = 5_000;

/** How this node stands to those that it shares with, and what the engine does for it. Rates come from two messages. */
export function showShared(message: SecondMessage, before: SecondMessage | undefined): void {
  const { shared } = message;
  byId("shared-card").hidden = shared === null;
  if (shared === null) return;
  setText(byId("shared-node"), shared.node);
  const now = message.counters.cache;
  const then = before?.counters.cache;
  const seconds = before === undefined ? 1 : Math.max(0.5, (message.atMs - before.atMs) / 1000);
  const since = (name: keyof NonNullable<typeof now>) =>
    now === null || then === null || then === undefined ? null : Math.max(0, now[name] - then[name]);
  const rate = (amount: number | null, unit = count) => `${text(unit(amount === null ? null : amount / seconds))}/s`;
  const [hits, misses, lookups, micros] = [
    since("sharedHits"),
    since("sharedMisses"),
    since("sharedLookups"),
    since("sharedLookupMicros"),
  ];
  const asked = (hits ?? 0) + (misses ?? 0);
  const left = now?.sharedBreakersOpen ?? 0;
  const rows: [string, string, boolean?][] = [
    ["state", shared.state, shared.state === "alone"],
    ["servers left alone, by threads", text(count(left)), left > 0],
    ["purges behind", text(count(shared.behind)), shared.behind > 0],
    ["purges not sent yet", text(count(shared.unsent)), shared.unsent > 0],
    ["hits", `${rate(hits)}, ${text(percent(asked === 0 ? null : (hits ?? 0) / asked))}`],
    ["a look takes", text(duration(lookups === null || lookups === 0 ? null : (micros ?? 0) / lookups / 1000))],
    ["read, written", `${rate(since("sharedReadBytes"), size)}, ${rate(since("sharedWrittenBytes"), size)}`],
    ["not written for want of room", rate(since("sharedDropped"))],
    ["broken values so far", text(count(now?.sharedBroken)), (now?.sharedBroken ?? 0) > 0],
  ];
  byId("shared").replaceChildren(
    ...rows.flatMap(([name, value, isBad]) => [
      element("dt", { text: name }),
      element("dd", { text: value, className: isBad === true ? "bad" : "" }),
    ]),
  );
  showNodes(shared.nodes);
}

function showNodes(nodes: NonNullable<SecondMessage["shared"]>["nodes"]): void {
  const worstFirst = nodes.toSorted((a, b) => b.behind - a.behind || b.silentMs - a.silentMs);
  const list = worstFirst.slice(0, NODES_SHOWN).map(({ name, behind, silentMs }) => {
    const isSilent = silentMs > SILENT_MS;
    const heard = isSilent ? `not heard for ${text(duration(silentMs))}` : "heard";
    const words = behind === 0 ? heard : `${heard}, ${text(count(behind))} purges behind`;
    const dot = element("span", { className: `dot ${isSilent ? "bad" : behind > 0 ? "warn" : "good"}` });
    return element("p", { className: "origin" }, dot, name, element("small", { text: words }));
  });
  const more = nodes.length - list.length;
  if (more > 0) list.push(element("p", { className: "nothing", text: `and ${more} more` }));
  byId("shared-nodes").replaceChildren(...list);
}
