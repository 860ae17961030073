const UNITS = { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 } as const;
type Unit = keyof typeof UNITS;
const LARGEST_FIRST: readonly Unit[] = ["GiB", "MiB", "KiB"];
const SIZE = /^(\d{1,16})(B|KiB|MiB|GiB)?$/i;

/**
 * The bytes that a size such as `4096`, `256KiB` or `10GiB` stands for; undefined when the text is no size, or stands for more
 * bytes than a number holds exactly (2^53-1). Units are powers of 1024, in any case; without one the number counts bytes.
 */
export function parseSize(text: string): number | undefined {
  const match = SIZE.exec(text);
  if (match === null) return undefined;
  const bytes = Number(match[1]) * UNITS[unitNamed(match[2] ?? "B")];
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

function unitNamed(text: string): Unit {
  return (Object.keys(UNITS) as Unit[]).find((unit) => unit.toLowerCase() === text.toLowerCase()) ?? "B";
}

/** The size exactly, in the largest unit that needs no fraction: what {@link parseSize} reads back. */
export function formatSize(bytes: number): string {
  const unit = LARGEST_FIRST.find((candidate) => bytes >= UNITS[candidate] && bytes % UNITS[candidate] === 0) ?? "B";
  return `${bytes / UNITS[unit]}${unit}`;
}

/** The size for people, with one decimal: `61.4MiB`. */
export function approximateSize(bytes: number): string {
  const unit = LARGEST_FIRST.find((candidate) => bytes >= UNITS[candidate]) ?? "B";
  const amount = bytes / UNITS[unit];
  return `${Number.isInteger(amount) ? amount : amount.toFixed(1)}${unit}`;
}
