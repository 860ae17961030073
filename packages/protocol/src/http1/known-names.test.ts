import { expect, test } from "bun:test";
import { knownName } from "./known-names.ts";

const lookUp = (name: string) => {
  const bytes = new Uint8Array(Buffer.from(`?${name}?`, "latin1"));
  return knownName(bytes, 1, 1 + name.length);
};

test.each(["Host", "host", "ETag", "etag", "Content-Length", "If-None-Match", "TE"])("knownName() of %s", (name) => {
  expect(lookUp(name)).toMatchObject({ name, lowerName: name.toLowerCase() });
});

test.each([
  "Hosu",
  "hOst",
  "HOST",
  "Hos",
  "Hosts",
  "X-Unheard-Of",
  "If-Match-",
  "",
  "\xff",
  "A".repeat(33),
  "A".repeat(5000),
])("knownName() of %j is undefined", (name) => expect(lookUp(name)).toBeUndefined());
