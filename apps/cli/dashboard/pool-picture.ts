import type { SecondMessage } from "../src/admin/live-message.ts";
import { size, text } from "./format.ts";
import { byId, setText } from "./page.ts";
import { color } from "./theme.ts";

const HEIGHT = 132;
const GAP = 2;
/** A pool of thousands is drawn in cells that stand for several segments each. */
const CELLS_MAX = 2048;
const COLOR_OF: Record<string, string> = { h: "miss", s: "hit-fill", q: "quiet", m: "refused" };

/** Draws what each segment of the pool is doing, by id, in rows. */
export function showPool({ pool }: SecondMessage): void {
  const canvas = byId<HTMLCanvasElement>("pool");
  const states = pool?.states ?? "";
  const held = counted(states, "h");
  setText(
    byId("pool-count"),
    pool === null ? "" : `${held} of ${states.length} in use, ${text(size(pool.segmentBytes))} each`,
  );
  canvas.setAttribute(
    "aria-label",
    `${held} segments of ${states.length} carry a portion, ${counted(states, "s")} are kept ready, ${counted(states, "q")} free`,
  );
  const scale = devicePixelRatio;
  const width = Math.max(1, canvas.clientWidth);
  canvas.width = width * scale;
  canvas.height = HEIGHT * scale;
  const context = canvas.getContext("2d");
  if (context === null || states.length === 0) return;
  context.scale(scale, scale);
  const perCell = Math.ceil(states.length / CELLS_MAX);
  const cells = Math.ceil(states.length / perCell);
  const edge = edgeFor(cells, width);
  const columns = Math.max(1, Math.floor((width + GAP) / (edge + GAP)));
  const colors = Object.fromEntries(Object.entries(COLOR_OF).map(([state, name]) => [state, color(name)]));
  for (let cell = 0; cell < cells; cell++) {
    context.fillStyle = colors[busiest(states.slice(cell * perCell, (cell + 1) * perCell))] ?? "";
    const x = (cell % columns) * (edge + GAP);
    const y = Math.floor(cell / columns) * (edge + GAP);
    context.beginPath();
    context.roundRect(x, y, edge, edge, Math.min(3, edge / 4));
    context.fill();
  }
}

/** The largest edge with which all cells fit. */
function edgeFor(cells: number, width: number): number {
  for (let edge = 26; edge > 1; edge--) {
    const columns = Math.floor((width + GAP) / (edge + GAP));
    if (columns > 0 && Math.ceil(cells / columns) * (edge + GAP) - GAP <= HEIGHT) return edge;
  }
  return 1;
}

function busiest(states: string): string {
  for (const state of "mhs") if (states.includes(state)) return state;
  return "q";
}

function counted(states: string, wanted: string): number {
  let found = 0;
  for (const state of states) if (state === wanted) found++;
  return found;
}
