import { expect, test } from "bun:test";
import { parseRequestHead, parseResponseHead } from "@proj/protocol";
import { isPassStorable } from "./pass-storable.ts";

function request(...lines: string[]) {
  const bytes = Buffer.from(["GET /a HTTP/1.1", "Host: a", ...lines, "", ""].join("\r\n"), "latin1");
  const head = parseRequestHead(bytes, 0, bytes.length);
  if (head.kind === "malformed") throw new Error(head.reason);
  return head;
}

function response(...lines: string[]) {
  const bytes = Buffer.from(["HTTP/1.1 200 OK", ...lines, "", ""].join("\r\n"), "latin1");
  const head = parseResponseHead(bytes, 0, bytes.length);
  if (head.kind === "malformed") throw new Error(head.reason);
  return head;
}

test("isPassStorable() tells requests with credentials from those without, for one head of a response, in any order", () => {
  const fresh = response("Cache-Control: max-age=60");
  const credentials = request("Authorization: Basic YQ==");
  for (let round = 0; round < 2; round++) {
    expect(isPassStorable(request(), fresh)).toBe(true);
    expect(isPassStorable(credentials, fresh)).toBe(false);
  }
  const shared = response("Cache-Control: public, max-age=60");
  expect([isPassStorable(credentials, shared), isPassStorable(request(), shared)]).toEqual([true, true]);
  expect(isPassStorable(request(), response("Cache-Control: no-store"))).toBe(false);
  expect(isPassStorable(request(), response("Set-Cookie: a=b", "Cache-Control: no-cache"))).toBe(false);
});
