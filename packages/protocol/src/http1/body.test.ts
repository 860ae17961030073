import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { BodyDecoder } from "./body.ts";
import { Fields } from "./fields.ts";
import type { Framing } from "./framing.ts";
import { DEFAULT_BODY_LIMITS } from "./limits.ts";
import { renderChunkHead, renderLastChunk } from "./write.ts";

const octets = (text: string) => new Uint8Array(Buffer.from(text, "latin1"));
const unexpected = () => {
  throw new Error("Content where none is");
};

/** Pushes the pieces one after the other, each in a buffer of its own with junk around it. */
function decode(framing: Framing, pieces: string[]) {
  const decoder = new BodyDecoder(framing);
  let content = "";
  let consumed = 0;
  for (const piece of pieces) {
    const bytes = octets(`??${piece}??`);
    const taken = decoder.push(bytes, 2, 2 + piece.length, (from, to) => {
      expect(to).toBeGreaterThan(from);
      content += Buffer.from(bytes.subarray(from, to)).toString("latin1");
    });
    if (typeof taken === "object") return { decoder, content, consumed, refused: taken.reason };
    consumed += taken;
    if (taken < piece.length) break;
  }
  return { decoder, content, consumed, refused: undefined };
}

describe("BodyDecoder", () => {
  test("no body is done at once and takes nothing", () => {
    const decoder = new BodyDecoder({ kind: "none" });
    expect(decoder.done).toBe(true);
    expect(decoder.push(octets("abc"), 0, 3, unexpected)).toBe(0);
    expect(decoder.end()).toBe("complete");
  });

  test("a length takes that much and leaves the rest", () => {
    const { decoder, content, consumed } = decode({ kind: "length", bytes: 5 }, ["abc", "", "deNEXT"]);
    expect([content, consumed, decoder.done, decoder.trailers]).toEqual(["abcde", 5, true, undefined]);
    expect(decoder.push(octets("x"), 0, 1, unexpected)).toBe(0);
  });

  test("a length of 0 is done at once", () => {
    expect(new BodyDecoder({ kind: "length", bytes: 0 }).done).toBe(true);
  });

  test("a length that is not reached is cut short", () => {
    const { decoder } = decode({ kind: "length", bytes: 5 }, ["abcd"]);
    expect([decoder.done, decoder.end(), decoder.done]).toEqual([false, "cut-short", false]);
  });

  test("until the close everything is content, and the close makes it whole", () => {
    const { decoder, content } = decode({ kind: "until-close" }, ["ab", "\r\n\0"]);
    expect([content, decoder.done, decoder.end(), decoder.done]).toEqual(["ab\r\n\0", false, "complete", true]);
  });

  test("trailers are parsed, and none is undefined", () => {
    expect(decode({ kind: "chunked" }, ["0\r\nA: b\r\nA:c\r\n\r\n"]).decoder.trailers?.all("a")).toEqual(["b", "c"]);
    expect(decode({ kind: "chunked" }, ["0\r\n\r\n"]).decoder.trailers).toBeUndefined();
  });

  test.each([
    ["0\r\nA: b\rc", "bare-cr"],
    ["0\r\nA: b\n", "bare-lf"],
    ["3;a\n", "bare-lf"],
    ["3\rx", "bare-cr"],
    ["0\r\n\rx", "bare-cr"],
  ])("%j is refused before more comes", (body, reason) => {
    expect(decode({ kind: "chunked" }, [body]).refused).toBe(reason);
  });

  test("a refusal stays, whatever follows", () => {
    const { decoder, refused } = decode({ kind: "chunked" }, ["3\r\nabcX"]);
    expect(refused).toBe("chunk-end");
    expect(decoder.push(octets("\r\n0\r\n\r\n"), 0, 7, unexpected)).toMatchObject({ reason: "chunk-end" });
    expect([decoder.done, decoder.end()]).toEqual([false, "cut-short"]);
  });

  test("a chunked body cut at every place is cut short, never whole", () => {
    const body = '3;a="\\"b"\r\nabc\r\n0\r\nX: y\r\n\r\n';
    for (let end = 0; end < body.length; end++) {
      const { decoder } = decode({ kind: "chunked" }, [body.slice(0, end)]);
      expect([decoder.done, decoder.end()]).toEqual([false, "cut-short"]);
    }
  });

  test("a handler that throws leaves a decoder that has taken what the handler was given", () => {
    const decoder = new BodyDecoder({ kind: "length", bytes: 3 });
    expect(() => decoder.push(octets("abc"), 0, 3, unexpected)).toThrow();
    expect(decoder.done).toBe(true);
  });

  test("limits are the last size that is taken", () => {
    const limits = { ...DEFAULT_BODY_LIMITS, chunkExtensionBytes: 4, trailerBytes: 10, trailerFields: 1 };
    const push = (body: string) =>
      new BodyDecoder({ kind: "chunked" }, limits).push(octets(body), 0, body.length, () => {});
    expect(push("1;abc\r\nx\r\n0\r\n\r\n")).toBe(15); // the separator ends the size, the CR the extension: 4 bytes
    expect(push("1;abcd\r\nx\r\n0\r\n\r\n")).toMatchObject({ reason: "chunk-extension-too-large" });
    expect(push("0\r\nA: bcd\r\n\r\n")).toBe(13);
    expect(push("0\r\nA: bcde\r\n\r\n")).toMatchObject({ reason: "trailer-too-large", status: 431 });
    expect(push("0\r\nA:\r\nB:\r\n\r\n")).toMatchObject({ reason: "too-many-fields", status: 431 });
  });

  test("content, chunked anyhow and cut anywhere, comes out as it went in, and no byte more is taken", () => {
    const octet = fc.nat({ max: 255 }).map((code) => String.fromCharCode(code));
    const chunks = fc.array(fc.string({ unit: octet, minLength: 1, maxLength: 50 }), { maxLength: 6 });
    const trailers = fc.option(fc.constant(Fields.from([["X-T", "1"]])), { nil: undefined });
    const property = fc.property(chunks, trailers, fc.array(fc.nat({ max: 300 })), (parts, last, places) => {
      const coded = parts.map((part) => `${renderChunkHead(part.length)}${part}\r\n`).join("") + renderLastChunk(last);
      const stream = `${coded}NEXT`;
      const cuts = [...new Set(places.filter((place) => place < stream.length))].sort((a, b) => a - b);
      const pieces = [...cuts, stream.length].map((end, i) => stream.slice(cuts[i - 1] ?? 0, end));
      const { decoder, content, consumed } = decode({ kind: "chunked" }, pieces);
      expect([content, consumed, decoder.done]).toEqual([parts.join(""), coded.length, true]);
      expect(decoder.trailers?.render()).toBe(last?.render());
    });
    fc.assert(property, { numRuns: 1000 });
  });
});
