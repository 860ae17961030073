const MINUS = "–";

/** `12,345`, `123 k`: value and unit. */
export function count(value: number | null | undefined): [string, string] {
  if (value === null || value === undefined || !Number.isFinite(value)) return [MINUS, ""];
  if (value < 10) return [trimmed(value, value === 0 || Number.isInteger(value) ? 0 : 1), ""];
  if (value < 100_000) return [Math.round(value).toLocaleString("en"), ""];
  if (value < 1e6) return [trimmed(value / 1e3, 0), "k"];
  return value < 1e9 ? [trimmed(value / 1e6, 1), "M"] : [trimmed(value / 1e9, 1), "G"];
}

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];

export function size(bytes: number | null | undefined): [string, string] {
  if (bytes === null || bytes === undefined || !Number.isFinite(bytes)) return [MINUS, ""];
  const power = Math.min(UNITS.length - 1, Math.max(0, Math.floor(Math.log2(Math.max(bytes, 1)) / 10)));
  const amount = bytes / 1024 ** power;
  return [trimmed(amount, amount < 100 && power > 0 ? 1 : 0), UNITS[power] ?? ""];
}

export function duration(ms: number | null | undefined): [string, string] {
  if (ms === null || ms === undefined || !Number.isFinite(ms)) return [MINUS, ""];
  if (ms < 1) return [String(Math.round(ms * 1000)), "µs"];
  if (ms < 1000) return [ms.toPrecision(3), "ms"];
  return [(ms / 1000).toPrecision(3), "s"];
}

export function percent(part: number | null | undefined): [string, string] {
  if (part === null || part === undefined || !Number.isFinite(part)) return [MINUS, ""];
  const value = part * 100;
  return [value === 100 || value === 0 ? String(value) : value.toFixed(value > 99 ? 2 : 1), "%"];
}

/** Value and unit in one text. */
export function text([value, unit]: readonly [string, string]): string {
  return unit === "" ? value : `${value} ${unit}`;
}

export function since(startedAtMs: number, nowMs: number): string {
  const seconds = Math.max(0, Math.round((nowMs - startedAtMs) / 1000));
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return seconds < 172_800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86_400)} days`;
}

function trimmed(value: number, digits: number): string {
  return value.toFixed(digits).replace(/\.0+$/, "");
}
