import * as v from "valibot";
import { formatSize, parseSize } from "./size.ts";

const HOST_NAME = /^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$/;

export function text() {
  return v.pipe(v.string("it must be a text"), v.nonEmpty("it is empty; leave the option out for its default"));
}

export function httpUrl() {
  return v.pipe(
    text(),
    v.check(
      (value) => /^https?:$/.test(URL.parse(value)?.protocol ?? ""),
      "it must be an http or https URL, such as http://127.0.0.1:4318",
    ),
  );
}

/** A part of all. */
export function part() {
  const message = "it must be a number from 0 to 1, such as 0.05";
  const written = v.pipe(v.string(), v.regex(/^(?:0(?:\.\d{1,9})?|1(?:\.0{1,9})?)$/, message), v.transform(Number));
  return v.pipe(v.union([v.number(), written], message), v.minValue(0, message), v.maxValue(1, message));
}

export function oneOf<const Choice extends string>(choices: readonly Choice[]) {
  return v.picklist(choices, `it must be ${choices.join(" or ")}`);
}

export function wholeNumber(min: number, max: number, unit: string) {
  const message = `it must be a whole number of ${unit} from ${min} to ${max}`;
  const digits = v.pipe(v.string(), v.regex(/^\d{1,9}$/, message), v.transform(Number));
  return v.pipe(
    v.union([v.number(), digits], message),
    v.integer(message),
    v.minValue(min, message),
    v.maxValue(max, message),
  );
}

export function port() {
  const message = "a port is a whole number from 0 to 65535, 0 takes a free one";
  const digits = v.pipe(v.string(), v.regex(/^\d{1,5}$/, message), v.transform(Number));
  return v.pipe(
    v.union([v.number(), digits], message),
    v.integer(message),
    v.minValue(0, message),
    v.maxValue(65_535, message),
  );
}

export function size(min: number, max: number) {
  const message =
    "a size is a whole number with B, KiB, MiB or GiB behind it, such as 256KiB; without a unit it counts bytes";
  const written = v.pipe(
    v.string(),
    v.rawTransform(({ dataset, addIssue, NEVER }) => {
      const bytes = parseSize(dataset.value);
      if (bytes !== undefined) return bytes;
      addIssue({ message });
      return NEVER;
    }),
  );
  return v.pipe(
    v.union([v.number(), written], message),
    v.integer(message),
    v.minValue(min, `it must be at least ${formatSize(min)}`),
    v.maxValue(max, `it must be at most ${formatSize(max)}`),
  );
}

/** What is written with commas, or a list of a file's. As text, so that it can be handed on as it is. */
export function paths() {
  const message = "it must be names of files with commas between them";
  const list = v.pipe(
    v.array(v.string(message)),
    v.transform((names) => names.join(",")),
  );
  return v.pipe(
    v.union([v.string(), list], message),
    v.check((names) => names.split(",").every((name) => name !== ""), message),
  );
}

/** As {@link paths}. */
export function networks() {
  const message =
    "it must be IP addresses or networks such as 192.0.2.7, 10.0.0.0/8 or fd00::/8, with commas between them";
  const list = v.pipe(
    v.array(v.string(message)),
    v.transform((texts) => texts.join(",")),
  );
  return v.pipe(
    v.union([v.string(), list], message),
    v.check((text) => text.split(",").every(isNetwork), message),
  );
}

function isNetwork(text: string): boolean {
  const [host = "", bits, ...more] = text.split("/");
  const family = isIP(host);
  if (family === 0 || more.length > 0) return false;
  return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128));
}

/** @returns 4, 6, or 0 for what is no IP address. */
function isIP(text: string): number {
  const net: typeof import("node:net") = require("node:net"); // 9 ms of a start that few need
  return net.isIP(text);
}

export function address() {
  const message = "it must be an IP address or a host name of this machine, such as 127.0.0.1, :: or localhost";
  return v.pipe(
    text(),
    v.check((host) => HOST_NAME.test(host) || isIP(host) !== 0, message),
  );
}

const SECONDS_IN = { s: 1, m: 60, h: 3600, d: 86_400 } as const;
/** RFC 9111 section 1.2.2: longer than this nothing is ever said to be fresh. */
const DURATION_MAX = 2 ** 31;

/** Whole seconds, or a text with a unit behind it. */
export function duration() {
  const message = "it must be a whole number of seconds, or one with s, m, h or d behind it, such as 90s, 10m or 7d";
  const written = v.pipe(
    v.string(),
    v.rawTransform(({ dataset, addIssue, NEVER }) => {
      const [, digits, unit] = /^(\d{1,10})([smhd])?$/.exec(dataset.value) ?? [];
      if (digits !== undefined) return Number(digits) * SECONDS_IN[(unit ?? "s") as keyof typeof SECONDS_IN];
      addIssue({ message });
      return NEVER;
    }),
  );
  return v.pipe(
    v.union([v.number(), written], message),
    v.integer(message),
    v.minValue(0, message),
    v.maxValue(DURATION_MAX, `it must be at most ${DURATION_MAX} seconds`),
  );
}

/** One of them, or a list: as a list. */
export function listOf(one: v.GenericSchema<string, string>, message: string) {
  const alone = v.pipe(
    v.string("it must be a text, or a list of texts"),
    one,
    v.transform((value) => [value]),
  );
  const several = v.pipe(v.array(one), v.minLength(1, `the list is empty; ${message}`));
  return v.lazy((input: unknown) => (Array.isArray(input) ? several : alone));
}

/** True or false, as a value or, from the environment, as a text. */
export function yesOrNo() {
  const message = "it is either true or false";
  const written = v.pipe(
    v.picklist(["true", "false"]),
    v.transform((text) => text === "true"),
  );
  return v.union([v.boolean(), written], message);
}

/** Written out since the shared tier's code should load only where there is one. */
const SHARED_HOST = String.raw`(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)(?::\d{1,5})?`;
const SHARED_ADDRESS = new RegExp(String.raw`^rediss?://(?:[^@/\s]*@)?${SHARED_HOST}(?:,${SHARED_HOST})*/?$`);

export function sharedAddress() {
  const message =
    "it must be redis:// or rediss://, USER:PASSWORD@ if any (with %40 for @, %2F for /), and hosts with their ports, with commas between them, and nothing behind";
  const arePorts = (value: string) =>
    [...value.replace(/^.*@/, "").matchAll(/:(\d+)(?=,|\/?$)/g)].every(([, digits]) => isPort(Number(digits)));
  return v.pipe(
    text(),
    v.regex(SHARED_ADDRESS, message),
    v.check(arePorts, "its ports are whole numbers from 1 to 65535"),
  );
}

function isPort(port: number): boolean {
  return port >= 1 && port <= 65_535;
}

export function nodeName() {
  const message = "a name has 1 to 128 letters, digits and -_./:, and begins with a letter or a digit";
  return v.pipe(text(), v.regex(/^[A-Za-z0-9][A-Za-z0-9_./:-]{0,127}$/, message));
}

/** A schema with what the reference says of it: how a value of it is written, and what it does. */
export function about<const Schema extends v.GenericSchema>(schema: Schema, type: string, text: string) {
  return v.pipe(schema, v.title(type), v.description(text));
}
