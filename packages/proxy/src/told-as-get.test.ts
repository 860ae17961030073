import { expect, test } from "bun:test";
import { defaultSite, parseRequestHead, type RuleSettings, Site, SiteTable, siteId } from "@proj/protocol";
import { PassRequest } from "./pass-request.ts";
import type { PassContext } from "./pass-through.ts";
import { ProxySite } from "./proxy-site.ts";
import type { Peer } from "./request-fields.ts";
import { routeOf } from "./route.ts";
import { isToldAsGet } from "./told-as-get.ts";

const PEER: Peer = { address: "192.0.2.1", isTrusted: false, scheme: "http" };
const COUNTED = ["x-forwarded-host", "x-forwarded-proto"];

/** Whether a POST with these lines tells no more than a GET would, under a rule. */
function isAsGet(rule: Partial<RuleSettings>, lines: string[], { path = "/a?id=1&x=2", peer = PEER } = {}): boolean {
  const { id: _, ...settings } = { ...defaultSite(["http://origin.example"]), rules: [{ paths: ["*"], ...rule }] };
  const site = new ProxySite({ id: siteId(settings), ...settings }, {} as PassContext, "");
  const head = `POST ${path} HTTP/1.1\r\nHost: front\r\nContent-Length: 3\r\n${lines.map((line) => `${line}\r\n`).join("")}\r\n`;
  const bytes = Buffer.from(head, "latin1");
  const parsed = parseRequestHead(bytes, 0, bytes.length);
  if (parsed.kind === "malformed") throw new Error(parsed.reason);
  const route = routeOf(parsed, new SiteTable([site]));
  if (route.kind !== "pass") throw new Error(route.kind);
  const request = new PassRequest(parsed, route);
  return isToldAsGet(request, { fields: request.preparedFor(peer).request.fields, peer }, new Site(site.settings));
}

test("isToldAsGet(): only where a rule counts by which name and scheme it was asked", () => {
  expect(isAsGet({}, [])).toBe(false);
  expect(isAsGet({ headers: COUNTED }, [])).toBe(true);
  for (const missing of COUNTED)
    expect(isAsGet({ headers: COUNTED.filter((name) => name !== missing) }, [])).toBe(false);
});

test("isToldAsGet(): not with what is kept from the requests whose responses others get", () => {
  const fields = [
    "Content-Type: text/plain",
    "Accept: */*",
    "X-Own: 1",
    "Expect: 100-continue",
    "X-Forwarded-Host: evil",
  ];
  expect(isAsGet({ headers: COUNTED }, fields)).toBe(true);
  for (const odd of [
    "X-HTTP-Method-Override: HEAD",
    "X_Http_Method: PUT",
    "If-Match: *",
    "If_None_Match: *",
    "Range: bytes=0-0",
  ])
    expect({ odd, isAsGet: isAsGet({ headers: COUNTED }, [...fields, odd]) }).toEqual({ odd, isAsGet: false });
});

test("isToldAsGet(): not with a trusted peer's word in one field that may be another in the field that counts", () => {
  const peer = { ...PEER, isTrusted: true };
  expect(isAsGet({ headers: COUNTED }, ["X-Forwarded-For: 192.0.2.9"], { peer })).toBe(true);
  for (const said of ["Forwarded: for=a;host=b", "X-Forwarded-Host: b", "X-Forwarded-Proto: https"])
    expect({ said, isAsGet: isAsGet({ headers: COUNTED }, [said], { peer }) }).toEqual({ said, isAsGet: false });
});

test("isToldAsGet(): not with more of a target than is forwarded, nor past a bypass", () => {
  const query = (forward: "counted" | "all") => ({ kind: "only", names: ["id"], forward }) as const;
  expect(isAsGet({ headers: COUNTED, query: query("counted") }, [])).toBe(false);
  expect(isAsGet({ headers: COUNTED, query: query("counted") }, [], { path: "/a?id=1" })).toBe(true);
  expect(isAsGet({ headers: COUNTED, query: query("all") }, [])).toBe(true);
  expect(isAsGet({ headers: COUNTED, bypass: true }, [])).toBe(false);
});
