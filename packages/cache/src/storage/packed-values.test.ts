import { expect, test } from "bun:test";
import { Fields } from "@proj/protocol";
import { ValuePacker } from "./packed-values.ts";

function fieldsOf(...values: string[]): Fields {
  return new Fields(
    values.map((_, index) => `X-${index}`),
    values,
  );
}

/** Packs and unpacks, and says what the text takes. */
function bytesOf(packer: ValuePacker, ...values: string[]): number {
  const packed = packer.pack(fieldsOf(...values))!;
  expect(packer.unpack(packed)).toEqual(values);
  expect(ValuePacker.textBytes(packed.slots)).toBe(packed.text.length);
  return packed.text.length;
}

test("ValuePacker keeps what comes again and again once, and only that", () => {
  const packer = new ValuePacker();
  const common = "public, max-age=600";
  for (let index = 0; index < 20; index++) {
    const own = `"an entity-tag ${index}"`;
    expect(bytesOf(packer, common, own)).toBe(own.length + (index < 7 ? common.length : 0));
  }
  expect(bytesOf(packer, common, common)).toBe(0);
});

test("ValuePacker writes short and very long values out", () => {
  const packer = new ValuePacker();
  const long = "x".repeat(1025);
  for (let turn = 0; turn < 20; turn++) expect(bytesOf(packer, "", "gzip", long)).toBe(4 + long.length);
  expect(bytesOf(packer, "y".repeat(0x7fff))).toBe(0x7fff);
  expect(packer.pack(fieldsOf("y".repeat(0x8000)))).toBeUndefined();
});

test("ValuePacker makes four bytes of a date, and gives it as it was written", () => {
  const packer = new ValuePacker();
  for (const date of [
    "Thu, 01 Jan 1970 00:00:00 GMT",
    "Sun, 22 Nov 2026 12:34:56 GMT",
    "Sun, 07 Feb 2106 06:28:15 GMT",
  ]) {
    expect(bytesOf(packer, date)).toBe(4);
    expect(bytesOf(packer, date, "between", "Sun, 22 Nov 2026 12:34:57 GMT", date)).toBe(12 + "between".length);
  }
});

test("ValuePacker changes nothing about what only looks like a date", () => {
  const packer = new ValuePacker();
  for (const value of [
    "Mon, 22 Nov 2026 12:34:56 GMT", // it was a Sunday
    "sun, 22 nov 2026 12:34:56 gmt",
    "Mon, 30 Feb 2026 12:34:56 GMT",
    "Sun, 07 Feb 2106 06:28:16 GMT",
    "Wed, 31 Dec 1969 23:59:59 GMT",
    "Sun, 22 Nov 2026 12:34:60 GMT",
    "no date, but just as long....",
  ]) {
    expect(value).toHaveLength(29);
    expect(bytesOf(packer, value)).toBe(29);
  }
});

test("ValuePacker gives each value again, any octets, however many share the table", () => {
  const packer = new ValuePacker();
  for (let turn = 0; turn < 10; turn++) {
    // More than it shares.
    for (let index = 0; index < 700; index++) {
      bytesOf(packer, `caf\u00e9 \u00ff\u0080 ${index}`, `${index}`, `number ${index % 7} of seven`);
    }
  }
  for (let index = 0; index < 6000; index++) {
    const value = `the value with number ${index}`;
    for (let sighting = 0; sighting < 9; sighting++) packer.pack(fieldsOf(value));
  }
  expect(bytesOf(packer, "the value with number 1")).toBe(0);
  expect(bytesOf(packer, "the value with number 5999")).toBe("the value with number 5999".length);
});
