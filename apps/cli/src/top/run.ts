import { cannotRun } from "../command-error.ts";
import { LiveView } from "../live/live-view.ts";
import type { Ranking } from "../live/top-targets.ts";
import { aborted } from "../stop-request.ts";
import { renderFrame } from "./frame.ts";
import { PLAIN_HEADING, plainLine } from "./plain.ts";
import { Screen } from "./screen.ts";

const RECENT = 100;
const RANKING_OF: Readonly<Record<string, Ranking>> = { r: "requests", b: "bytes", m: "misses" };

/**
 * Shows a channel live: in a terminal as a screen that is drawn anew each second and when it is resized, until `q`; elsewhere as a line each second.
 * Reads shared memory: it goes on when the processes hang, and waits for them when they have died.
 *
 * @param options.count Seconds after which it ends by itself.
 * @returns The exit code, 0.
 * @throws {CommandError} Exit code 1: nothing of the channel is there.
 */
export async function runTop(options: {
  channel: string;
  count: number | undefined;
  stop: AbortSignal;
}): Promise<number> {
  const { channel, count = Number.POSITIVE_INFINITY } = options;
  const view = new LiveView(channel);
  view.start();
  const ended = new AbortController();
  const stop = AbortSignal.any([options.stop, ended.signal]);
  try {
    const { proxy, cache } = view.state().reading.stats;
    if (proxy === null && cache === null) {
      throw cannotRun(
        `Cannot watch channel "${channel}": no process of it runs for this user; name another with --channel, or start it with webproxy --channel ${channel}`,
      );
    }
    let seconds = 0;
    view.eachSecond(() => {
      if (++seconds >= count) ended.abort();
    });
    if (process.stdout.isTTY === true && process.stdin.isTTY === true)
      await showScreen(view, stop, () => ended.abort());
    else await printLines(view, stop);
  } finally {
    view.stop();
  }
  return 0;
}

async function showScreen(view: LiveView, stop: AbortSignal, quit: () => void): Promise<void> {
  let ranking: Ranking = "requests";
  const draw = () => {
    const { columns, rows } = screen.size;
    const { entries } = view.requestsSince(0, RECENT);
    const content = { state: view.state(), history: view.history, requests: entries, ranking, nowMs: Date.now() };
    screen.draw(renderFrame(content, { columns, rows, isColored: !process.env["NO_COLOR"] }));
  };
  using screen = new Screen({
    onKey(key) {
      if (key === "q" || key === "\x03") return quit();
      const chosen = RANKING_OF[key];
      if (chosen !== undefined) ranking = chosen;
      draw();
    },
    onResize: () => draw(),
  });
  draw();
  view.eachSecond(draw);
  await aborted(stop);
}

async function printLines(view: LiveView, stop: AbortSignal): Promise<void> {
  process.stdout.write(PLAIN_HEADING);
  view.eachSecond((state) => {
    process.stdout.write(plainLine(state(), Date.now()));
  });
  await aborted(stop);
}
