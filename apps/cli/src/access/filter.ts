import type { TakenRecord } from "./feed.ts";
import { type AccessEntry, entryOf } from "./line.ts";

type Field = keyof AccessEntry;
const NUMBERS: readonly Field[] = ["status", "bytes", "firstByteMs", "totalMs", "originMs", "thread"];
const TEXTS: readonly Field[] = [
  "client",
  "method",
  "target",
  "host",
  "protocol",
  "verdict",
  "referer",
  "userAgent",
  "traceId",
];
const FIELDS: readonly Field[] = [...NUMBERS, ...TEXTS, "flags"];

export type Filter = (record: TakenRecord) => boolean;

/**
 * The test that a text such as `verdict=stale`, `status>=500`, `target~^/api/` or `flags=aborted` stands for; a sentence why it is none.
 *
 * `=` and `!=` compare the whole value, of a status also its first digit as in `5xx`; `<`, `<=`, `>`, `>=` compare numbers; `~` and `!~` look for a regular expression.
 */
export function parseFilter(text: string): Filter | string {
  const [, name = "", operator = "", value = ""] = /^(\w+)(!=|<=|>=|!~|=|<|>|~)([\s\S]*)$/.exec(text) ?? [];
  if (operator === "") return `Cannot filter by "${text}": it is no FIELD=VALUE; the operators are = != < <= > >= ~ !~`;
  const field = FIELDS.find((one) => one === name);
  if (field === undefined)
    return `Cannot filter by "${text}": there is no field "${name}"; there are ${FIELDS.join(", ")}`;
  if (operator.endsWith("~")) return matching(text, field, operator === "~", value);
  if (operator === "=" || operator === "!=") {
    const isEqual = equality(field, value);
    return operator === "=" ? isEqual : (record) => !isEqual(record);
  }
  const wanted = Number(value);
  if (!NUMBERS.includes(field))
    return `Cannot filter by "${text}": ${operator} compares numbers, of ${NUMBERS.join(", ")}`;
  if (value.trim() === "" || Number.isNaN(wanted)) return `Cannot filter by "${text}": "${value}" is no number`;
  return (record) => {
    const found = entryOf(record)[field];
    return typeof found === "number" && COMPARE[operator as keyof typeof COMPARE](found, wanted);
  };
}

const COMPARE = {
  "<": (one: number, other: number) => one < other,
  "<=": (one: number, other: number) => one <= other,
  ">": (one: number, other: number) => one > other,
  ">=": (one: number, other: number) => one >= other,
};

function equality(field: Field, value: string): Filter {
  const digit = field === "status" ? /^(\d)xx$/i.exec(value)?.[1] : undefined;
  if (digit !== undefined) return ({ status }) => Math.floor(status / 100) === Number(digit);
  return (record) => {
    const found = entryOf(record)[field];
    return Array.isArray(found) ? found.includes(value) : String(found ?? "") === value;
  };
}

function matching(text: string, field: Field, wanted: boolean, pattern: string): Filter | string {
  let expression: RegExp;
  try {
    expression = new RegExp(pattern);
  } catch (error) {
    return `Cannot filter by "${text}": ${error instanceof Error ? error.message : String(error)}`;
  }
  return (record) => expression.test(String(entryOf(record)[field] ?? "")) === wanted;
}
