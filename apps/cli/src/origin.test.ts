import { describe, expect, test } from "bun:test";
import { ORIGINS_MAX as PROTOCOL_ORIGINS_MAX } from "@proj/protocol";
import { CommandError } from "./command-error.ts";
import { ORIGINS_MAX, parseOrigins } from "./origin.ts";

describe("parseOrigins()", () => {
  test("tells URLs, directories and the demo apart", () => {
    expect(parseOrigins(["http://127.0.0.1:3000/prefix/"])).toEqual({
      kind: "urls",
      urls: [new URL("http://127.0.0.1:3000/prefix/")],
    });
    expect(parseOrigins(["HTTPS://files.example.org"])).toEqual({
      kind: "urls",
      urls: [new URL("https://files.example.org/")],
    });
    expect(parseOrigins(["demo"])).toEqual({ kind: "demo" });
    for (const path of ["./demo", "public", "/srv/www", "http:/odd", "a:b"])
      expect(parseOrigins([path])).toEqual({ kind: "directory", path });
  });

  test("takes several URLs, of any scheme, host and port, under one path", () => {
    const texts = ["http://a.example/files", "http://a.example:81/files/", "https://[::1]/files"];
    expect(parseOrigins(texts)).toEqual({ kind: "urls", urls: texts.map((text) => new URL(text)) as [URL, ...URL[]] });
  });

  test("refuses several that can not stand for each other", () => {
    const refusal = (...texts: string[]) => expect(() => parseOrigins(texts));
    refusal("http://a.example/x", "http://b.example/y").toThrow(/their paths have to be the same/);
    refusal("http://a.example/", "http://a.example:80").toThrow(/stands there twice/);
    refusal("http://a.example/", "./public").toThrow(/beside others: it is no URL/);
    refusal("demo", "http://a.example/").toThrow(/beside others: it is no URL/);
    const many = Array.from({ length: ORIGINS_MAX + 1 }, (_, index) => `http://a.example:${index + 1}`);
    refusal(...many).toThrow(/these are 17, and 16 are the most/);
    expect(ORIGINS_MAX).toBe(PROTOCOL_ORIGINS_MAX);
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
      expect(() => parseOrigins([text])).toThrow(CommandError);
      expect(() => parseOrigins([text])).toThrow(/^Cannot use ".*" for --origin: .*; give one such as https:/);
    });
  }
});
