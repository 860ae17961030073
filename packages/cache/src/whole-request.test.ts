import { expect, test } from "bun:test";
import { Fields } from "@proj/protocol";
import { wholeRequest } from "./whole-request.ts";

const of = (...lines: [string, string][]) => wholeRequest(Fields.from(lines));
const PLAIN: [string, string][] = [
  ["User-Agent", "curl/8"],
  ["Accept", "*/*"],
];

test("wholeRequest() is the same for the same fields in whichever order and case, and without what is not told to the origin", () => {
  expect(of(["accept", "*/*"], ["USER-AGENT", "curl/8"])).toBe(of(...PLAIN));
  expect(of(...PLAIN, ["Range", "bytes=0-1"], ["If-Match", "*"], ["X_Forwarded_Host", "evil"])).toBe(of(...PLAIN));
});

test("wholeRequest() differs by every other field, value, order of lines, and by what is left out", () => {
  const requests: [string, string][][] = [
    PLAIN,
    [],
    [["Accept", "*/*"]],
    [...PLAIN, ["X-Odd", "1"]],
    [...PLAIN, ["X-Odd", "2"]],
    [...PLAIN, ["X_Odd", "2"]],
    [...PLAIN, ["X-Odd", ""]],
    [...PLAIN, ["X-Odd", "1"], ["X-Odd", "2"]],
    [...PLAIN, ["X-Odd", "2"], ["X-Odd", "1"]],
    [["User-Agent", "curl/9"], PLAIN[1]!],
    [...PLAIN, ["Cookie", "a=b"]],
  ];
  expect(new Set(requests.map((lines) => of(...lines))).size).toBe(requests.length);
});

test("wholeRequest() takes no notice of which number a request has, but of that it has one, and of what is none", () => {
  expect(of(...PLAIN, ["X-Request-Id", "1"])).toBe(of(...PLAIN, ["X-Request-ID", "0b1e-FF"]));
  expect(of(...PLAIN, ["X-Request-Id", "1"])).not.toBe(of(...PLAIN));
  for (const odd of ["x", "1 2", "\t1", "9".repeat(65), ""])
    expect(of(...PLAIN, ["X-Request-Id", odd])).not.toBe(of(...PLAIN, ["X-Request-Id", "1"]));
});
