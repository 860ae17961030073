import { describe, expect, test } from "bun:test";
import { HeadScanner } from "./head-scanner.ts";
import { DEFAULT_HEAD_LIMITS } from "./limits.ts";

const octets = (text: string) => new Uint8Array(Buffer.from(text, "latin1"));
const HEAD = "GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n";

function scanAll(text: string): ReturnType<HeadScanner["scan"]> {
  return new HeadScanner().scan(octets(text), 0, text.length);
}

describe("HeadScanner.scan()", () => {
  test("the offset just past the empty line, whatever follows", () => {
    expect(scanAll(HEAD)).toBe(HEAD.length);
    expect(scanAll(`${HEAD}\0\n\r`)).toBe(HEAD.length);
    expect(scanAll("HTTP/1.1 200 OK\r\n\r\n")).toBe(19);
    expect(scanAll(`\r\n${HEAD}`)).toBe(HEAD.length + 2);
  });

  test("starts at start and ends at end", () => {
    const bytes = octets(`\n\n\n${HEAD}${HEAD}`);
    const scanner = new HeadScanner();
    expect(scanner.scan(bytes, 3, 3 + HEAD.length - 1)).toBeUndefined();
    expect(scanner.scan(bytes, 3, bytes.length)).toBe(3 + HEAD.length);
    expect(scanner.scan(bytes, 3 + HEAD.length, bytes.length)).toBe(bytes.length);
  });

  test("the bytes may move between two looks", () => {
    const scanner = new HeadScanner();
    expect(scanner.scan(octets(`xxxx${HEAD.slice(0, 20)}`), 4, 24)).toBeUndefined();
    expect(scanner.scan(octets(HEAD), 0, HEAD.length)).toBe(HEAD.length);
  });

  test("a head sent one byte at a time is looked at about once a byte", () => {
    const bytes = octets(`GET / HTTP/1.1\r\nX: ${"y".repeat(5000)}\r\n\r\n`);
    let looks = 0;
    const counting = new Proxy(bytes, {
      get(target, property) {
        looks++;
        return Reflect.get(target, property);
      },
    });
    const scanner = new HeadScanner();
    for (let end = 1; end < bytes.length; end++) expect(scanner.scan(counting, 0, end)).toBeUndefined();
    expect(scanner.scan(counting, 0, bytes.length)).toBe(bytes.length);
    // The start line's "HTTP/" is looked at once more.
    expect(looks).toBeLessThan(bytes.length + 20);
  });

  test.each([
    ["GET / HTTP/1.1\r\nA: b\n", "bare-lf"],
    ["GET / HTTP/1.1\r\nA: b\rc", "bare-cr"],
    ["GET /\0", "nul"],
    ["GET /\r\n", "http-version"],
    ["hello\r\n", "http-version"],
  ])("%j is refused before the head is there", (text, reason) => {
    const refused = scanAll(text);
    expect(refused).toMatchObject({ kind: "malformed", reason });
  });

  test("a refusal stays", () => {
    const scanner = new HeadScanner();
    const bytes = octets("GET / HTTP/1.1\n\r\n\r\n");
    expect(scanner.scan(bytes, 0, 16)).toMatchObject({ reason: "bare-lf" });
    expect(scanner.scan(bytes, 0, bytes.length)).toMatchObject({ reason: "bare-lf" });
  });

  test("limits are the last size that is taken, cut or whole", () => {
    const limits = { ...DEFAULT_HEAD_LIMITS, headBytes: 100, fields: 2 };
    const head = (bytes: number) => `GET / HTTP/1.1\r\nA: ${"b".repeat(bytes - 23)}\r\n\r\n`;
    for (const [text, verdict] of [
      [head(100), 100],
      [head(101), { reason: "head-too-large", status: 431 }],
      ["GET / HTTP/1.1\r\nA:\r\nB:\r\n\r\n", 26],
      ["GET / HTTP/1.1\r\nA:\r\nB:\r\nC:\r\n\r\n", { reason: "too-many-fields", status: 431 }],
    ] as const) {
      const bytes = octets(text);
      const bytewise = new HeadScanner(limits);
      let last: ReturnType<HeadScanner["scan"]>;
      for (let end = 1; end <= bytes.length && typeof last !== "object"; end++) last = bytewise.scan(bytes, 0, end);
      const whole = new HeadScanner(limits).scan(bytes, 0, bytes.length);
      if (typeof verdict === "number") expect([whole, last]).toEqual([verdict, verdict]);
      else for (const refused of [whole, last]) expect(refused).toMatchObject(verdict);
    }
  });

  test("an endless start line is refused before the head's limit, as too long a target", () => {
    const bytes = octets(`GET /${"a".repeat(17_000)}`);
    expect(new HeadScanner().scan(bytes, 0, bytes.length)).toMatchObject({
      reason: "start-line-too-long",
      status: 414,
    });
  });

  test("reset() forgets a head that was begun", () => {
    const scanner = new HeadScanner();
    expect(scanner.scan(octets("GET / HT"), 0, 8)).toBeUndefined();
    scanner.reset();
    expect(scanner.scan(octets(HEAD), 0, HEAD.length)).toBe(HEAD.length);
  });
});
