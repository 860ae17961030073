import { describe, expect, test } from "bun:test";
import type { OriginClient } from "@proj/origin";
import { defaultSite, Fields, type Framing, freshnessOf, type ResponseHead, variantOf } from "@proj/protocol";
import { wantedGet } from "../test/wanted.ts";
import { speaksOfResource } from "./arriving.ts";
import { CacheSites } from "./cache-sites.ts";
import { ClientRequest } from "./client-request.ts";
import { isForSameWords } from "./error-variant.ts";
import { concernsOthers, judge, restIn, whyNotKept, withTrailer } from "./judgement.ts";
import type { StoredResponse } from "./stored-response.ts";

const SITE = defaultSite(["http://origin.example"]);
const NOW_MS = Date.UTC(2026, 10, 28, 9);
const LENGTH: Framing = { kind: "length", bytes: 5 };
const sites = new CacheSites(
  [SITE],
  () => ({}) as OriginClient,
  () => NOW_MS,
);

function requestWith(fieldSection: string): ClientRequest {
  return new ClientRequest(wantedGet(SITE.id, "/a", fieldSection), sites.get(SITE.id)!);
}

function headOf(status: number, fields: [string, string][]): ResponseHead {
  return { kind: "response", status, reason: "", minorVersion: 1, fields: Fields.from(fields), headBytes: 0 };
}

function judged(
  status: number,
  fields: [string, string][],
  asked: { mode?: "shared" | "own" | "pass"; kind?: "whole" | "range"; isPurged?: boolean } = {},
) {
  const { mode = "shared", kind = "whole", isPurged = false } = asked;
  const head = headOf(status, fields);
  const about = { request: requestWith(""), mode, ask: { kind }, isPurged };
  const judgement = judge(about, head, LENGTH, head.fields);
  return { ...judgement, why: judgement.mayKeep ? undefined : whyNotKept(about, judgement.storable, status) };
}

describe("judge()", () => {
  const fresh: [string, string][] = [["Cache-Control", "max-age=60"]];
  const part: [string, string][] = [...fresh, ["Content-Range", "bytes 0-4/10"]];

  test("keeps what may be stored and answers others", () => {
    expect(judged(200, fresh)).toMatchObject({ mayKeep: true, bodyBytes: 5 });
    expect(judged(200, fresh, { mode: "own" })).toMatchObject({ mayKeep: true });
    expect(judged(206, part, { kind: "range" })).toMatchObject({ mayKeep: true });
  });

  test("keeps nothing else, and says why", () => {
    expect(judged(200, fresh, { mode: "pass" })).toMatchObject({ mayKeep: false });
    expect(judged(200, fresh, { isPurged: true })).toMatchObject({ mayKeep: false, why: "purged" });
    expect(judged(206, part)).toMatchObject({ mayKeep: false, why: "unasked-part" });
    expect(judged(200, [["Cache-Control", "private"]])).toMatchObject({ mayKeep: false, why: "private" });
    expect(judged(200, [...fresh, ["Vary", "*"]])).toMatchObject({ mayKeep: false, why: "vary-star" });
  });

  test("keeps an error for those only who say the same, and none that a Range may have provoked (CHECKLIST 36)", () => {
    for (const status of [400, 403, 405, 406, 414, 500, 501, 503, 505, 599]) {
      const { variant, mayKeep } = judged(status, fresh);
      expect({ status, mayKeep, isForSame: isForSameWords(variant!) }).toEqual({
        status,
        mayKeep: true,
        isForSame: true,
      });
      expect(judged(status, fresh, { kind: "range" })).toMatchObject({ mayKeep: false, why: "about-the-request" });
    }
    for (const status of [200, 203, 301, 302, 308, 404, 410]) {
      const { variant, mayKeep } = judged(status, fresh);
      expect({ status, mayKeep, variant: variant?.varyNames }).toEqual({ status, mayKeep: true, variant: [] });
      expect(judged(status, fresh, { kind: "range" })).toMatchObject({ mayKeep: true });
    }
  });

  test("whyNotKept() of what might be kept: there is no room", () => {
    const about = { request: requestWith(""), mode: "shared", ask: { kind: "whole" }, isPurged: false } as const;
    expect(whyNotKept(about, { storable: true }, 200)).toBe("no-room");
  });
});

test("speaksOfResource() of what others would be told too", () => {
  expect([200, 206, 301, 400, 401, 403, 404, 410, 429, 500, 503].filter(speaksOfResource)).toEqual([
    200, 206, 301, 404, 410,
  ]);
});

test("concernsOthers() unless it may be due to who asked", () => {
  expect(concernsOthers("no-store", requestWith(""))).toBe(true);
  expect(concernsOthers("request-no-store", requestWith("Cache-Control: no-store\r\n"))).toBe(false);
  expect(concernsOthers("private", requestWith("Authorization: Basic eA==\r\n"))).toBe(false);
});

test("withTrailer() names what comes behind chunks, for those who take it", () => {
  const head = headOf(200, [["Trailer", "X-Sum"]]);
  const names = (framing: Framing, takesTrailers: boolean | undefined) =>
    withTrailer(new Fields(), head, framing, takesTrailers === undefined ? undefined : { takesTrailers }).get(
      "trailer",
    );
  expect(names({ kind: "chunked" }, true)).toBe("X-Sum");
  expect(names({ kind: "chunked" }, false)).toBeUndefined();
  expect(names({ kind: "chunked" }, undefined)).toBeUndefined();
  expect(names(LENGTH, true)).toBeUndefined();
});

describe("restIn()", () => {
  const request = requestWith("");
  const fields = Fields.from([
    ["ETag", '"one"'],
    ["Cache-Control", "max-age=60"],
  ]);
  const stored = {
    status: 200,
    fields,
    variant: variantOf(request, fields),
    freshness: freshnessOf({ status: 200, fields }, NOW_MS, NOW_MS, undefined),
    bodyBytes: 10,
  } as StoredResponse;
  const missing = { start: 5, end: 10 };
  const restOf = (range: string, { tag = '"one"', control = "max-age=60", framing = LENGTH as Framing } = {}) => {
    const newer = Fields.from([
      ["ETag", tag],
      ["Content-Range", range],
      ["Cache-Control", control],
    ]);
    return restIn(stored, missing, newer, framing, request, NOW_MS);
  };

  test("is the part that was missing", () => {
    expect(restOf("bytes 5-9/10")).toEqual({ start: 5, end: 10, completeBytes: 10 });
    expect(restOf("bytes 5-9/10", { framing: { kind: "chunked" } })).toBeDefined();
  });

  test("is none where it is another part, of another length, or of another representation", () => {
    for (const range of ["bytes 4-9/10", "bytes 5-8/10", "bytes 5-9/11", "bytes 5-9/*", "bytes */10", ""])
      expect(restOf(range)).toBeUndefined();
    expect(restOf("bytes 5-9/10", { tag: '"two"' })).toBeUndefined();
    expect(restOf("bytes 5-9/10", { tag: 'W/"one"' })).toBeUndefined();
    expect(restOf("bytes 5-9/10", { framing: { kind: "length", bytes: 4 } })).toBeUndefined();
  });

  test("is none where the whole may not be stored any longer", () => {
    expect(restOf("bytes 5-9/10", { control: "no-store" })).toBeUndefined();
  });
});
