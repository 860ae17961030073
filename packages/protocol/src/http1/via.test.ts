import { describe, expect, test } from "bun:test";
import { Fields } from "./fields.ts";
import type { ResponseHead } from "./head.ts";
import { receivedFields, renderVia } from "./via.ts";

/** All Via lines that a client sees of a response that came so. */
function viaLines(minorVersion: 0 | 1, ...via: string[]): string[] {
  const fields = Fields.from([["ETag", '"a"'], ...via.map((value) => ["Via", value] as const)]);
  const head = { status: 200, reason: "OK", minorVersion, fields } as ResponseHead;
  const received = receivedFields(head);
  const text = received.render() + renderVia(received);
  return [...text.matchAll(/^Via: (.*)\r$/gm)].map(([, value]) => value!);
}

describe("RFC 9110 section 7.6.3: a response names the version in which it was received", () => {
  test.each([0, 1] as const)("HTTP/1.%d", (minorVersion) => {
    const own = `1.${minorVersion} webproxy`;
    expect(viaLines(minorVersion)).toEqual([own]);
    expect(viaLines(minorVersion, "1.1 other", "1.0 another")).toEqual(["1.1 other", "1.0 another", own]);
  });

  test.each(["1.0 webproxy", "1.1 webproxy", "1.0 a, 1.1 webproxy", "2 webproxy"])(
    "each hop once, behind another of the same name that said %p",
    (before) => {
      expect(viaLines(1, before)).toEqual([before, "1.1 webproxy"]);
      expect(viaLines(0, before)).toEqual([before, "1.0 webproxy"]);
    },
  );

  test("what is kept of HTTP/1.1 is the section itself, nothing added", () => {
    const fields = Fields.from([["ETag", '"a"']]);
    const head: ResponseHead = { status: 200, reason: "OK", minorVersion: 1, fields } as ResponseHead;
    expect(receivedFields(head).render()).toBe('ETag: "a"\r\n');
  });
});
