import { expect, test } from "bun:test";
import { defaultSite, parseRequestHead, SiteTable } from "@proj/protocol";
import type { PassContext } from "./pass-through.ts";
import { ProxySite } from "./proxy-site.ts";
import { type Peer, passFields, renderCacheFields } from "./request-fields.ts";
import { routeOf } from "./route.ts";

const SITES = new SiteTable([new ProxySite(defaultSite(["http://origin.example"]), {} as PassContext, "")]);
const PEER: Peer = { address: "192.0.2.1", isTrusted: false, scheme: "http" };

function headOf(method: string, lines: string[]) {
  const bytes = Buffer.from([`${method} /a HTTP/1.1`, "Host: front", ...lines, "", ""].join("\r\n"), "latin1");
  const head = parseRequestHead(bytes, 0, bytes.length);
  if (head.kind === "malformed") throw new Error(head.reason);
  return head;
}

const LIES = [
  ...["X_Forwarded_Host", "X_Forwarded_For", "X-Forwarded_Proto", "X.Original.URL", "X-HTTP-Host-Override", "Proxy"],
  ...["Content_Length", "Transfer_Encoding", "Proxy_Authorization"],
];

test("what a proxy or a hop says is not taken from a client in any spelling, through the cache or past it; other underscores are", () => {
  const lines = [...LIES.map((name) => `${name}: evil`), "X_Own_Field: kept", "Accept: */*"];
  expect(renderCacheFields(headOf("GET", [...lines, "X_Http_Method_Override: DELETE"]))).toBe(
    "X_Own_Field: kept\r\nAccept: */*\r\n",
  );
  const head = headOf("POST", [...lines, "Content-Length: 3"]);
  const route = routeOf(head, SITES);
  if (route.kind !== "pass") throw new Error(route.kind);
  expect(passFields(head, route, PEER).render()).toBe(
    [
      ...["X_Own_Field: kept", "Accept: */*", "Content-Length: 3", "Forwarded: for=192.0.2.1;host=front;proto=http"],
      ...["X-Forwarded-For: 192.0.2.1", "X-Forwarded-Proto: http", "X-Forwarded-Host: front", "Via: 1.1 webproxy", ""],
    ].join("\r\n"),
  );
});
