import { describe, expect, test } from "bun:test";
import type { OriginClient } from "@proj/origin";
import { defaultSite, Fields, variantOf } from "@proj/protocol";
import { wantedGet } from "../test/wanted.ts";
import { CacheSites } from "./cache-sites.ts";
import { ClientRequest } from "./client-request.ts";
import { fillModeOf, mayBeHot, mayShare } from "./sharing.ts";

const SITE = defaultSite(["http://origin.example"]);
const sites = new CacheSites(
  [SITE],
  () => ({}) as OriginClient,
  () => 0,
);

function get(fieldSection = "", method: "GET" | "HEAD" = "GET"): ClientRequest {
  return new ClientRequest({ ...wantedGet(SITE.id, "/a", fieldSection), method }, sites.get(SITE.id)!);
}

describe("mayShare()", () => {
  test("is so for who says nothing, and for a range", () => {
    expect([get(), get("Range: bytes=0-4\r\n"), get("Accept: */*\r\n")].map(mayShare)).toEqual([true, true, true]);
  });

  test("is not where the response may be due to who asks", () => {
    expect(mayShare(get("Authorization: Basic eA==\r\n"))).toBe(false);
    expect(mayShare(get('Range: bytes=0-4\r\nIf-Range: "x"\r\n'))).toBe(false);
  });
});

test("fillModeOf() is for one client where that one says so, or may have got what others may not", () => {
  expect(fillModeOf(get())).toBe("shared");
  expect(fillModeOf(get("Cache-Control: max-age=0\r\n"))).toBe("shared");
  expect(fillModeOf(get("Cache-Control: no-store\r\n"))).toBe("own");
  expect(fillModeOf(get("Authorization: Basic eA==\r\n"))).toBe("own");
});

describe("mayBeHot()", () => {
  const stored = (pairs: [string, string][] = [], status = 200) => {
    const fields = Fields.from(pairs);
    return { status, fields, variant: variantOf(get(), fields)! };
  };

  test("is what every plain GET gets", () => {
    expect(mayBeHot(get(), stored())).toBe(true);
  });

  test("is not what depends on the request, or is not a whole 200", () => {
    expect(mayBeHot(get("", "HEAD"), stored())).toBe(false);
    expect(mayBeHot(get("Range: bytes=0-4\r\n"), stored())).toBe(false);
    expect(mayBeHot(get(), stored([["Vary", "Accept-Language"]]))).toBe(false);
    expect(mayBeHot(get(), stored([["Content-Encoding", "gzip"]]))).toBe(false);
    expect(mayBeHot(get(), stored([], 404))).toBe(false);
    expect(mayBeHot(get(), { ...stored(), parts: {} as never })).toBe(false);
  });
});
