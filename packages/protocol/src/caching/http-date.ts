import { ParsedValues } from "./parsed-values.ts";

const MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

// RFC 9111 section 4.2: although the formats are case-sensitive, a cache SHOULD match a date case-insensitively.
const IMF_FIXDATE = /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), (\d{2}) ([a-z]{3}) (\d{4}) (\d{2}):(\d{2}):(\d{2}) GMT$/i;
const RFC850_DATE =
  /^(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day, (\d{2})-([a-z]{3})-(\d{2}) (\d{2}):(\d{2}):(\d{2}) GMT$/i;
const ASCTIME_DATE = /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) ([a-z]{3}) ([ \d]\d) (\d{2}):(\d{2}):(\d{2}) (\d{4})$/i;

/** Hundreds of messages may carry the Date of one second. */
const IMF_FIXDATES = new ParsedValues((value): { isOne: boolean; timeMs: number | undefined } => {
  const imf = IMF_FIXDATE.exec(value);
  if (imf === null) return { isOne: false, timeMs: undefined };
  const [, day = "", month = "", year = "", hour = "", minute = "", second = ""] = imf;
  return { isOne: true, timeMs: utc(Number(year), month, day, hour, minute, second) };
});

/**
 * The time an HTTP-date names, in milliseconds since 1970, in any of its three forms (RFC 9110 section 5.6.7), in upper or
 * lower case (RFC 9111 section 4.2).
 *
 * Undefined for everything else: another time zone, another spelling, two dates in one field, the 31st of a month of 30
 * days. The day of the week is not compared with the date. A leap second is the second after it.
 *
 * @param nowMs Decides the century of a two-digit year: one that would lie more than 50 years ahead is in the past.
 */
export function parseHttpDate(value: string, nowMs: number): number | undefined {
  const imf = IMF_FIXDATES.of(value);
  if (imf.isOne) return imf.timeMs;
  const rfc850 = RFC850_DATE.exec(value);
  if (rfc850 !== null) {
    const [, day = "", month = "", year = "", hour = "", minute = "", second = ""] = rfc850;
    return utc850(Number(year), month, day, hour, minute, second, nowMs);
  }
  const asctime = ASCTIME_DATE.exec(value);
  if (asctime === null) return undefined;
  const [, month = "", day = "", hour = "", minute = "", second = "", year = ""] = asctime;
  return utc(Number(year), month, day.trim(), hour, minute, second);
}

/** The time as an IMF-fixdate, the only form that is sent; fractions of a second are dropped. */
export function formatHttpDate(timeMs: number): string {
  return new Date(timeMs).toUTCString();
}

function utc850(
  yearOfCentury: number,
  month: string,
  day: string,
  hour: string,
  minute: string,
  second: string,
  nowMs: number,
): number | undefined {
  const now = new Date(nowMs);
  const century = Math.floor(now.getUTCFullYear() / 100) * 100;
  // RFC 9110 section 5.6.7: not more than 50 years in the future; else the most recent past year with those digits.
  const ahead = new Date(nowMs).setUTCFullYear(now.getUTCFullYear() + 50);
  for (const year of [century + 100, century, century - 100]) {
    const time = utc(year + yearOfCentury, month, day, hour, minute, second);
    if (time !== undefined && time <= ahead) return time;
  }
  return undefined;
}

function utc(
  year: number,
  month: string,
  day: string,
  hour: string,
  minute: string,
  second: string,
): number | undefined {
  const monthIndex = MONTHS.indexOf(month.toLowerCase());
  const date = new Date(0);
  // Not Date.UTC, which takes the years 0 to 99 for 1900 to 1999.
  date.setUTCFullYear(year, monthIndex, Number(day));
  const isReal = monthIndex !== -1 && date.getUTCMonth() === monthIndex && date.getUTCDate() === Number(day);
  if (!isReal || Number(hour) > 23 || Number(minute) > 59 || Number(second) > 60) return undefined;
  return date.setUTCHours(Number(hour), Number(minute), Number(second), 0);
}
