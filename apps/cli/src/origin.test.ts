import { describe, expect, test } from "bun:test";
import { CommandError } from "./command-error.ts";
import { parseOrigin } from "./origin.ts";

describe("parseOrigin()", () => {
  test("tells URLs, directories and the demo apart", () => {
    expect(parseOrigin("http://127.0.0.1:3000/prefix/")).toEqual({
      kind: "url",
      url: new URL("http://127.0.0.1:3000/prefix/"),
    });
    expect(parseOrigin("HTTPS://files.example.org")).toEqual({
      kind: "url",
      url: new URL("https://files.example.org/"),
    });
    expect(parseOrigin("demo")).toEqual({ kind: "demo" });
    for (const path of ["./demo", "public", "/srv/www", "http:/odd", "a:b"])
      expect(parseOrigin(path)).toEqual({ kind: "directory", path });
  });

  for (const text of [
    "ftp://h/",
    "file:///srv",
    "http://",
    "http://h:99999",
    "http://u:p@h/",
    "http://u@h/",
    "http://h/?q",
    "http://h/#f",
  ]) {
    test(`refuses ${text} as it was asked wrongly`, () => {
      expect(() => parseOrigin(text)).toThrow(CommandError);
      expect(() => parseOrigin(text)).toThrow(/^Cannot use ".*" for --origin: .*; give one such as https:/);
    });
  }
});
