import { describe, expect, test } from "bun:test";
import { ORIGINS_MAX as PROTOCOL_ORIGINS_MAX } from "@proj/protocol";
import { ORIGINS_MAX, originFault, parseOrigins } from "./origin.ts";

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
});

describe("originFault()", () => {
  test("finds several that can not stand for each other", () => {
    const fault = (...texts: string[]) => originFault(texts);
    expect(fault("http://a.example/x", "http://b.example/y")).toMatch(/their paths have to be the same/);
    expect(fault("http://a.example/", "http://a.example:80")).toMatch(/stands there twice/);
    expect(fault("http://a.example/", "./public")).toMatch(/beside others: it is no URL/);
    expect(fault("demo", "http://a.example/")).toMatch(/beside others: it is no URL/);
    const many = Array.from({ length: ORIGINS_MAX + 1 }, (_, index) => `http://a.example:${index + 1}`);
    expect(fault(...many)).toMatch(/these are 17, and 16 are the most/);
    expect(ORIGINS_MAX).toBe(PROTOCOL_ORIGINS_MAX);
    for (const good of [["demo"], ["./public"], ["http://a"], ["http://a/x", "https://a/x/"]])
      expect(originFault(good)).toBeUndefined();
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
    test(`finds ${text} to be none`, () => {
      expect(originFault([text])).toMatch(/; give one such as https:/);
    });
  }
});
