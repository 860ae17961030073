import type { SecondMessage, StartMessage } from "../src/admin/live-message.ts";
import { Charts, History } from "./charts.ts";
import { initExplainForm } from "./explain-form.ts";
import { showLatencies, showOrigins, showQueues, showStatus, showTiers, showTiles } from "./figures.ts";
import { byId, element, setText } from "./page.ts";
import { showPool } from "./pool-picture.ts";
import { initPurgeForm } from "./purge-form.ts";
import { RecentList } from "./recent-list.ts";
import { showShared } from "./shared-figures.ts";
import { initTheme } from "./theme.ts";
import { TopList } from "./top-list.ts";

const history = new History({
  at: [],
  ...{ hot: [], hit: [], miss: [], pass: [], refused: [], sentBytes: [], originRequests: [], originBytes: [] },
  ...{ errors: [], p50Ms: [], p90Ms: [], p99Ms: [], originP90Ms: [] },
});
const charts = new Charts(history);
const recent = new RecentList();
const top = new TopList();
let start: StartMessage | undefined;
let last: SecondMessage | undefined;
let isPaused = false;

const nextTheme = initTheme(() => {
  charts.build();
  if (last !== undefined) showPool(last);
});
initPurgeForm();
initExplainForm();
new ResizeObserver(() => last !== undefined && showPool(last)).observe(byId("pool"));

const pause = byId("pause");
pause.addEventListener("click", togglePause);
document.addEventListener("keydown", ({ key, target, ctrlKey, metaKey, altKey }) => {
  const isTyping = target instanceof Element && target.matches("input, select, textarea");
  if (isTyping || ctrlKey || metaKey || altKey) return;
  if (key === "p") togglePause();
  if (key === "t") nextTheme();
});

function togglePause(): void {
  isPaused = !isPaused;
  pause.setAttribute("aria-pressed", String(isPaused));
  pause.textContent = isPaused ? "Go on" : "Pause";
  if (!isPaused && last !== undefined) show(last, undefined);
}

const stream = new EventSource("/api/live");
stream.addEventListener("start", ({ data }: MessageEvent<string>) => {
  start = JSON.parse(data) as StartMessage;
  Object.assign(history.columns, start.history);
  setText(byId("channel"), start.channel);
  setText(byId("about"), `webproxy ${start.version}. These figures, for programs: /metrics, /api/stats.`);
  document.title = `webproxy ${start.channel}`;
  charts.update();
});
stream.addEventListener("second", ({ data }: MessageEvent<string>) => {
  const message = JSON.parse(data) as SecondMessage;
  const before = last;
  last = message;
  if (message.sample !== undefined) history.add(message.sample);
  if (isPaused) return;
  recent.add(message.requests);
  show(message, before);
});
stream.addEventListener("error", () => {
  byId("status").replaceChildren(
    element("span", { className: "dot bad" }),
    element("b", { text: "No connection to webproxy" }),
    "; it is tried again",
  );
});

function show(message: SecondMessage, before: SecondMessage | undefined): void {
  showStatus(message);
  showTiles(message);
  charts.update();
  if (start !== undefined) showTiers(message, start);
  showPool(message);
  showQueues(message, before);
  showOrigins(message, before);
  showShared(message, before);
  showLatencies(message);
  top.show(message);
}
