import { milliseconds } from "../access/line.ts";
import { approximateSize } from "../size.ts";

/** A number for people: three or four digits, or `-` where there is none. */
export function amount(value: number | null | undefined): string {
  if (value === null || value === undefined) return "-";
  if (value > 0 && value < 10) return value.toFixed(1).replace(/\.0$/, "");
  if (value < 100_000) return Math.round(value).toLocaleString("en");
  return value < 1e6 ? `${Math.round(value / 1e3)}k` : `${(value / 1e6).toFixed(1)}M`;
}

export function percent(part: number | null): string {
  return part === null ? "-" : `${(part * 100).toFixed(part > 0.99 && part < 1 ? 2 : 1)}%`;
}

export function ms(value: number | null | undefined): string {
  return value === null || value === undefined ? "-" : milliseconds(value);
}

export function bytes(value: number | null | undefined): string {
  return value === null || value === undefined ? "-" : approximateSize(Math.round(value));
}

export function duration(fromMs: number, toMs: number): string {
  const seconds = Math.max(0, Math.round((toMs - fromMs) / 1000));
  if (seconds < 120) return `${seconds}s`;
  return seconds < 7200 ? `${Math.round(seconds / 60)}min` : `${Math.round(seconds / 3600)}h`;
}
