import { describe, expect, test } from "bun:test";
import { defaultSite, parseRequestHead, parseResponseHead, SiteTable } from "@proj/protocol";
import { PassRequest } from "./pass-request.ts";
import type { PassContext } from "./pass-through.ts";
import { ProxySite } from "./proxy-site.ts";
import type { Peer } from "./request-fields.ts";
import { routeOf } from "./route.ts";

const SITES = new SiteTable([new ProxySite(defaultSite(["http://origin.example"]), {} as PassContext, "")]);

function passRequest(...lines: string[]): PassRequest {
  const bytes = Buffer.from(["POST /a HTTP/1.1", "Host: front", ...lines, "", ""].join("\r\n"), "latin1");
  const head = parseRequestHead(bytes, 0, bytes.length);
  if (head.kind === "malformed") throw new Error(head.reason);
  const route = routeOf(head, SITES);
  if (route.kind !== "pass") throw new Error(route.kind);
  return new PassRequest(head, route);
}

function response(...lines: string[]) {
  const bytes = Buffer.from(["HTTP/1.1 201 Created", ...lines, "", ""].join("\r\n"), "latin1");
  const head = parseResponseHead(bytes, 0, bytes.length);
  if (head.kind === "malformed") throw new Error(head.reason);
  return head;
}

function peer(given: Partial<Peer> = {}): Peer {
  return { address: "192.0.2.1", isTrusted: false, scheme: "http", ...given };
}

describe("PassRequest", () => {
  test("preparedFor() is the same for connections of one client, and another for every other", () => {
    const request = passRequest("X-Forwarded-For: 10.0.0.1");
    const fields = (of: Peer) => request.preparedFor(of).request.fields;
    expect(request.preparedFor(peer())).toBe(request.preparedFor(peer()));
    for (let round = 0; round < 2; round++) {
      expect(fields(peer()).get("x-forwarded-for")).toBe("192.0.2.1");
      expect(fields(peer({ address: "192.0.2.2" })).get("x-forwarded-for")).toBe("192.0.2.2");
      expect(fields(peer({ isTrusted: true })).get("x-forwarded-for")).toBe("10.0.0.1, 192.0.2.1");
      expect(fields(peer({ scheme: "https" })).get("x-forwarded-proto")).toBe("https");
    }
  });

  test("invalidationBy() goes by the response at hand", () => {
    const request = passRequest();
    const [one, other] = [response(), response("Location: /b")];
    for (let round = 0; round < 2; round++) {
      expect(request.invalidationBy(one)?.targets).toEqual(["/a"]);
      expect(request.invalidationBy(other)?.targets).toEqual(["/a", "/b"]);
    }
  });
});
