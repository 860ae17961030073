import { expect, test } from "bun:test";
import { parseRequestHead } from "@proj/protocol";
import { headName, type KnownRequest, RequestMemo } from "./request-memo.ts";

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
  const get = (bytes: Uint8Array) => memo.get(headName(bytes)!);
  memo.keep(headName(octets("/a"))!, request);
  expect(get(octets("/a"))).toBe(request);
  const one = octets("/a");
  for (let at = 0; at < one.length; at++) {
    const other = Uint8Array.from(one);
    other[at]! ^= 0x80; // also above 0x7f an octet is itself
    expect(get(other)).toBeUndefined();
  }
  expect(get(one.subarray(0, one.length - 1))).toBeUndefined();
  expect(get(Buffer.concat([one, one]))).toBeUndefined();
});

test("RequestMemo.keep() holds a number of heads; a long one has no name", () => {
  const memo = new RequestMemo<KnownRequest>();
  for (let index = 0; index < 3000; index++) memo.keep(headName(octets(`/${index}`))!, known(`/${index}`));
  expect(memo.count).toBe(1024);
  expect(memo.get(headName(octets("/0"))!)).toBeUndefined();
  expect(memo.get(headName(octets("/2999"))!)?.hotName).toBe("/2999");
  expect(headName(octets(`/${"x".repeat(1024)}`))).toBeUndefined();
});
