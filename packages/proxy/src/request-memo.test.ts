import { expect, test } from "bun:test";
import { parseRequestHead } from "@proj/protocol";
import { type KnownRequest, RequestMemo } from "./request-memo.ts";

function octets(target: string): Uint8Array {
  return Buffer.from(`GET ${target} HTTP/1.1\r\nHost: a\r\n\r\n`, "latin1");
}

function known(target: string): KnownRequest {
  const bytes = octets(target);
  const head = parseRequestHead(bytes, 0, bytes.length);
  if (head.kind === "malformed") throw new Error(head.reason);
  return { head, keepsAlive: true, hotName: target };
}

test("RequestMemo.get() knows the same octets, and no others", () => {
  const memo = new RequestMemo<KnownRequest>();
  const request = known("/a");
  memo.keep(octets("/a"), request);
  const one = octets("/a");
  for (const cameBefore of ["/a", "/b"]) {
    memo.keep(octets("/b"), known("/b"));
    memo.get(octets(cameBefore));
    for (let at = 0; at < one.length; at++) {
      const other = Uint8Array.from(one);
      other[at]! ^= 0x80; // also above 0x7f an octet is itself
      expect(memo.get(other)).toBeUndefined();
    }
    expect(memo.get(one.subarray(0, one.length - 1))).toBeUndefined();
    expect(memo.get(Buffer.concat([one, one]))).toBeUndefined();
    expect(memo.get(octets("/a"))).toBe(request);
  }
});

test("RequestMemo.get() tells heads apart that come in turns, whatever their length, and whatever becomes of the memory they came in", () => {
  const memo = new RequestMemo<KnownRequest>();
  const targets = ["/a", "/b", `/${"c".repeat(230)}`, `/${"d".repeat(600)}`];
  const memory = new Uint8Array(1024);
  const lent = (target: string) => {
    const head = octets(target);
    memory.set(head);
    return memory.subarray(0, head.length);
  };
  for (const target of targets) memo.keep(lent(target), known(target));
  for (const target of [...targets, ...targets.toReversed(), ...targets.flatMap((target) => [target, target])]) {
    expect(memo.get(lent(target))?.hotName).toBe(target);
    memory.fill(0);
  }
  const changed = known("/a");
  memo.get(lent("/a"));
  memo.keep(lent("/a"), changed);
  expect(memo.get(lent("/a"))).toBe(changed);
});

test("RequestMemo.keep() holds a number of heads, and no long one", () => {
  const memo = new RequestMemo<KnownRequest>();
  for (let index = 0; index < 3000; index++) memo.keep(octets(`/${index}`), known(`/${index}`));
  expect(memo.count).toBe(1024);
  expect(memo.get(octets("/0"))).toBeUndefined();
  expect(memo.get(octets("/2999"))?.hotName).toBe("/2999");
  const long = octets(`/${"x".repeat(1024)}`);
  memo.keep(long, known("/long"));
  expect([memo.count, memo.get(long)]).toEqual([1024, undefined]);
});
