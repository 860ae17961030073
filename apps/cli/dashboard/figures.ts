import type { SecondMessage, StartMessage } from "../src/admin/live-message.ts";
import { totalsOf } from "../src/live/totals.ts";
import { count, duration, percent, since, size, text } from "./format.ts";
import { byId, element, setFigure, setText } from "./page.ts";

/** The tiles on top. */
export function showTiles({ sample }: SecondMessage): void {
  if (sample === undefined) return;
  const { requests, hitRatio } = totalsOf(sample);
  const share = (value: number | null) => text(percent(requests === 0 ? null : (value ?? 0) / requests));
  const [value, unit] = count(requests);
  setFigure("now-requests", [value, `${unit}/s`]);
  setText(
    byId("now-requests-more"),
    requests === 0 ? "nobody asks" : `${share(sample.pass)} pass, ${share(sample.refused)} refused`,
  );
  setFigure("now-ratio", percent(hitRatio));
  setText(
    byId("now-ratio-more"),
    requests === 0 ? "" : `hot ${share(sample.hot)}, cache ${share(sample.hit)}, origin ${share(sample.miss)}`,
  );
  const [sent, sentUnit] = size(sample.sentBytes);
  setFigure("now-sent", [sent, `${sentUnit}/s`]);
  setText(byId("now-sent-more"), requests > 0 ? `${text(size((sample.sentBytes ?? 0) / requests))} a response` : "");
  setFigure("now-latency", duration(sample.p99Ms));
  setText(byId("now-latency-more"), `half within ${text(duration(sample.p50Ms))}`);
  const [asked, askedUnit] = count(sample.originRequests);
  setFigure("now-origin", [asked, `${askedUnit}/s`]);
  setText(
    byId("now-origin-more"),
    sample.originP90Ms === null ? "" : `90 % answer within ${text(duration(sample.originP90Ms))}`,
  );
  setFigure("now-errors", [count(sample.errors)[0], "/s"]);
  setText(byId("now-errors-more"), "responses 5xx");
}

/** The line beside the name: do both processes serve? */
export function showStatus({ processes, atMs, origins, counters, shared }: SecondMessage): void {
  const { proxy, cache } = processes;
  const isServing = proxy.state === "serving" && cache.state === "serving";
  const { storesDegradedOpen = 0, sharedBreakersOpen = 0 } = counters.cache ?? {};
  const isDegraded =
    storesDegradedOpen > 0 ||
    sharedBreakersOpen > 0 ||
    shared?.state === "alone" ||
    origins.some((origin) => origin.restingThreads > 0);
  const dot = element("span", { className: `dot ${isServing ? (isDegraded ? "warn" : "good") : "bad"}` });
  const words = isServing ? (isDegraded ? "Serves, degraded" : "Serves") : `Proxy ${proxy.state}, cache ${cache.state}`;
  const up = proxy.startedAt === null ? "" : `, for ${since(proxy.startedAt, atMs)}`;
  const restarts = proxy.restarts + cache.restarts;
  const again = restarts === 0 ? "" : `, ${restarts} restarts`;
  byId("status").replaceChildren(dot, element("b", { text: words }), `${up}${again}`);
}

export function showTiers({ counters }: SecondMessage, { limits }: StartMessage): void {
  const { proxy, cache } = counters;
  byId("tiers").replaceChildren(
    meter("Hot, in the proxy", proxy?.hotBytes, limits.hot, `${text(count(proxy?.hotEntries))} responses`),
    meter("Memory", cache?.memoryBytes, limits.memory, `${text(count(cache?.loans))} on loan`),
    meter("Disk", cache?.diskBytes, limits.disk, cache?.storesDegradedOpen ? "refuses" : ""),
    element("p", {
      className: "nothing",
      text: `${text(count(cache?.responsesStored))} responses stored, ${text(count(cache?.evictions))} evicted so far`,
    }),
  );
}

function meter(name: string, used: number | undefined, limit: number, more: string): HTMLElement {
  const part = limit === 0 || used === undefined ? 0 : Math.min(1, used / limit);
  const fill = element("i");
  fill.style.width = `${(part * 100).toFixed(1)}%`;
  const bar = element("div", { className: "bar" }, fill);
  bar.setAttribute("role", "meter");
  bar.setAttribute("aria-label", name);
  bar.setAttribute("aria-valuemin", "0");
  bar.setAttribute("aria-valuemax", String(limit));
  bar.setAttribute("aria-valuenow", String(used ?? 0));
  const amount = limit === 0 ? "off" : `${text(size(used))} of ${text(size(limit))}`;
  const line = element("p", {}, name, element("span", { text: more === "" ? amount : `${amount}, ${more}` }));
  return element("div", { className: "meter" }, line, bar);
}

/** What waits, and what should never happen. Rates come from two messages. */
export function showQueues(message: SecondMessage, before: SecondMessage | undefined): void {
  const { proxy, cache } = message.counters;
  const seconds = before === undefined ? 1 : Math.max(0.5, (message.atMs - before.atMs) / 1000);
  const perSecond = (now: number | undefined, then: number | undefined) =>
    now === undefined || then === undefined ? null : Math.max(0, now - then) / seconds;
  const rate = (now: number | undefined, then: number | undefined) => {
    const [value, unit] = count(perSecond(now, then));
    return `${value}${unit}/s`;
  };
  const then = before?.counters;
  const rows: [string, string, boolean?][] = [
    ["client connections", text(count(proxy?.connectionsOpen))],
    ["transfers in the cache", text(count(cache?.transfersOpen))],
    ["fills from origins", text(count(cache?.fillsOpen))],
    ["requests collapsed into them", rate(cache?.collapsed, then?.cache?.collapsed)],
    ["threads that wait for a segment", text(count(message.pool?.waiting))],
    ["waits for a segment", rate(proxy?.segmentWaits, then?.proxy?.segmentWaits)],
    ["full request queues", rate(proxy?.queueFull, then?.proxy?.queueFull)],
    ["slow clients parked", rate(proxy?.transfersParked, then?.proxy?.transfersParked)],
    ["segment time-outs", text(count(proxy?.segmentTimeouts)), (proxy?.segmentTimeouts ?? 0) > 0],
    [
      "lost wake-ups",
      text(count((proxy?.lostWakeups ?? 0) + (cache?.lostWakeups ?? 0))),
      (proxy?.lostWakeups ?? 0) + (cache?.lostWakeups ?? 0) > 0,
    ],
    [
      "refused messages",
      text(count((proxy?.refusedMessages ?? 0) + (cache?.refusedMessages ?? 0))),
      (proxy?.refusedMessages ?? 0) + (cache?.refusedMessages ?? 0) > 0,
    ],
    ["double give-backs", text(count(proxy?.doubleGiveBacks)), (proxy?.doubleGiveBacks ?? 0) > 0],
    [
      "checksum failures",
      text(count((cache?.storedBroken ?? 0) + (cache?.sharedBroken ?? 0))),
      (cache?.storedBroken ?? 0) + (cache?.sharedBroken ?? 0) > 0,
    ],
  ];
  byId("queues").replaceChildren(
    ...rows.flatMap(([name, value, isBad]) => [
      element("dt", { text: name }),
      element("dd", { text: value, className: isBad === true ? "bad" : "" }),
    ]),
  );
}

export function showOrigins(message: SecondMessage, before: SecondMessage | undefined): void {
  const { origins } = message;
  const seconds = before === undefined ? 1 : Math.max(0.5, (message.atMs - before.atMs) / 1000);
  const list = origins.map(({ origin, asked, failures, restingThreads }) => {
    const then = before?.origins.find((one) => one.origin === origin);
    const rate = count(then === undefined ? null : Math.max(0, asked - then.asked) / seconds);
    const failing = then !== undefined && failures > then.failures;
    const state = restingThreads > 0 ? "bad" : failing ? "warn" : "good";
    const words =
      restingThreads > 0
        ? `left alone by ${restingThreads} threads since it failed`
        : failing
          ? "fails at times"
          : "answers";
    const more = `${words}; ${rate[0]}${rate[1]}/s, ${text(count(asked))} asked, ${text(count(failures))} failed`;
    return element(
      "p",
      { className: "origin" },
      element("span", { className: `dot ${state}` }),
      origin,
      element("small", { text: more }),
    );
  });
  byId("origins").replaceChildren(
    ...(list.length === 0 ? [element("p", { className: "nothing", text: "none is known yet" })] : list),
  );
}

const KINDS = [
  ["hot", "hotTotal"],
  ["hit", "hitTotal"],
  ["miss", "missTotal"],
  ["pass", "passTotal"],
  ["refused", "refusedTotal"],
  ["origin", "originFirstByte"],
] as const;

export function showLatencies({ lastMinute }: SecondMessage): void {
  const head = element(
    "tr",
    {},
    ...["", "50 %", "90 %", "99 %", "99.9 %"].map((name) =>
      element("th", { text: name, className: name === "" ? "" : "number" }),
    ),
  );
  const rows = KINDS.map(([kind, name]) => {
    const timing = lastMinute[name];
    const cells = [timing?.p50Ms, timing?.p90Ms, timing?.p99Ms, timing?.p999Ms].map((ms) =>
      element("td", { className: "number", text: text(duration(ms)) }),
    );
    return element("tr", {}, element("td", {}, chip(kind === "origin" ? "miss" : kind, kind)), ...cells);
  });
  byId("latencies").replaceChildren(element("table", {}, element("thead", {}, head), element("tbody", {}, ...rows)));
}

/** A verdict in its colour. */
export function chip(kind: string, words: string): HTMLElement {
  return element("span", { className: `chip ${kind}`, text: words });
}
