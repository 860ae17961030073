import { withoutControls } from "../log-escapes.ts";

/** Colours of a terminal, by number (SGR). */
export const STYLE = {
  plain: 0,
  bold: 1,
  dim: 2,
  red: 31,
  green: 32,
  yellow: 33,
  blue: 34,
  magenta: 35,
  cyan: 36,
} as const;
export type Style = keyof typeof STYLE;

/** A line in pieces, each in a style. */
export type TextLine = readonly (readonly [text: string, style: Style] | string)[];

/** The line as it is written: cut to `columns`, without a control character from anybody, with colours if wanted. */
export function renderLine(line: TextLine, columns: number, isColored: boolean): string {
  let left = columns;
  let rendered = "";
  for (const piece of line) {
    const [raw, style] = typeof piece === "string" ? ([piece, "plain"] as const) : piece;
    const text = clipped(String(withoutControls(raw)), left);
    left -= Bun.stringWidth(text);
    rendered += isColored && style !== "plain" && text !== "" ? `\x1b[${STYLE[style]}m${text}\x1b[0m` : text;
    if (left <= 0) break;
  }
  return rendered;
}

function clipped(text: string, columns: number): string {
  if (Bun.stringWidth(text) <= columns) return text;
  let end = Math.min(text.length, columns);
  while (end > 0 && Bun.stringWidth(text.slice(0, end)) > columns - 1) end--;
  return columns <= 0 ? "" : `${text.slice(0, end)}…`;
}

const EIGHTHS = " ▏▎▍▌▋▊▉█";

/** A bar of `cells` characters, `part` of it full. */
export function bar(part: number, cells: number): string {
  const eighths = Math.round(Math.min(1, Math.max(0, part)) * cells * 8);
  const full = "█".repeat(eighths >> 3);
  const rest = eighths & 7;
  return (full + (rest === 0 ? "" : EIGHTHS[rest])).padEnd(cells, "·");
}

const LEVELS = "▁▂▃▄▅▆▇█";

/** The last `cells` values, each as high as it is beside the largest. */
export function sparkline(values: readonly number[], cells: number): string {
  const last = values.slice(-cells);
  const largest = Math.max(...last, 0);
  const level = (value: number) => LEVELS[largest === 0 ? 0 : Math.round((value / largest) * (LEVELS.length - 1))]!;
  return last.map(level).join("").padStart(cells);
}
