import { expect, test } from "bun:test";
import type { OriginClient } from "@proj/origin";
import { defaultSite, Fields, variantOf } from "@proj/protocol";
import { wantedGet } from "../test/wanted.ts";
import { CacheSites } from "./cache-sites.ts";
import { ClientRequest } from "./client-request.ts";
import { answerAmong } from "./freshening.ts";
import type { StoredResponse } from "./stored-response.ts";

const SITE = defaultSite(["http://origin.example"]);
const sites = new CacheSites(
  [SITE],
  () => ({}) as OriginClient,
  () => 0,
);

function requestIn(language: string): ClientRequest {
  return new ClientRequest(wantedGet(SITE.id, "/a", `Accept-Language: ${language}\r\n`), sites.get(SITE.id)!);
}

function renewedIn(language: string, isForOthers: boolean, etag = '"one"') {
  const fields = Fields.from([
    ["Vary", "Accept-Language"],
    ["ETag", etag],
  ]);
  const variant = variantOf(requestIn(language), fields)!;
  return { isForOthers, response: { fields, variant } as StoredResponse };
}

test("answerAmong() is the most recent that is for the request", () => {
  const renewed = [renewedIn("en", true, '"old"'), renewedIn("en", true, '"new"'), renewedIn("de", true)];
  expect(answerAmong(renewed, requestIn("en"), false)).toBe(renewed[1]!.response);
});

test("answerAmong() gives what is for nobody else only to who has asked, and lets the others ask by themselves", () => {
  const renewed = [renewedIn("en", false)];
  expect(answerAmong(renewed, requestIn("en"), true)).toBe(renewed[0]!.response);
  expect(answerAmong(renewed, requestIn("en"), false)).toBe("alone");
});

test("answerAmong() has those look again for whom there is none, where all of it is for everybody", () => {
  expect(answerAmong([renewedIn("en", true)], requestIn("de"), false)).toBe("look-again");
});
