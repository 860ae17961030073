import { describe, expect, test } from "bun:test";
import {
  defaultSite,
  parseRequestHead,
  type RequestHead,
  type RuleSettings,
  Site,
  SiteTable,
  siteId,
} from "@proj/protocol";
import { type Peer, passFields, renderCacheFields, renderCacheForwarding } from "./request-fields.ts";
import { type PassRoute, routeOf } from "./route.ts";

function head(text: string): RequestHead {
  const bytes = Buffer.from(`${text.replaceAll("\n", "\r\n")}\r\n\r\n`, "latin1");
  const parsed = parseRequestHead(bytes, 0, bytes.length);
  if (parsed.kind !== "request") throw new Error(parsed.reason);
  return parsed;
}

function under(prefix: string): SiteTable<Site> {
  return new SiteTable([new Site(defaultSite([`http://origin.example${prefix}`]))]);
}

function passRoute(request: RequestHead, prefix = ""): PassRoute {
  const route = routeOf(request, under(prefix));
  if (route.kind !== "pass") throw new Error(`It does not pass: ${JSON.stringify(route)}`);
  return route;
}

const CLIENT = { address: "192.0.2.1", isTrusted: false, scheme: "http" } as const;
const PROXY = { ...CLIENT, address: "2001:db8::1", isTrusted: true } as const;
const fieldsOf = (text: string, peer: typeof CLIENT | typeof PROXY = CLIENT) => {
  const request = head(text);
  return passFields(request, passRoute(request), peer);
};

describe("routeOf()", () => {
  test("GET and HEAD without content are the cache's, everything else passes", () => {
    for (const method of ["GET", "HEAD"]) {
      const route = routeOf(head(`${method} /a?b HTTP/1.1\nHost: a`), under("/p"));
      expect(route).toMatchObject({ kind: "cache", target: "/p/a?b", keyTarget: "/p/a?b", authority: "a" });
    }
    for (const method of ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND", "x-own"])
      expect(passRoute(head(`${method} /a HTTP/1.1\nHost: a`), "/p").target).toBe("/p/a");
    expect(passRoute(head("GET /a HTTP/1.1\nHost: a\nContent-Length: 3")).framing).toEqual({
      kind: "length",
      bytes: 3,
    });
    const chunked = head("HEAD /a HTTP/1.1\nHost: a\nTransfer-Encoding: chunked");
    expect(passRoute(chunked).framing).toEqual({ kind: "chunked" });
    expect(routeOf(head("GET /a HTTP/1.1\nHost: a\nContent-Length: 0"), under("")).kind).toBe("cache");
  });

  test("OPTIONS * is forwarded as such, whatever the prefix", () => {
    expect(passRoute(head("OPTIONS * HTTP/1.1\nHost: a"), "/p").target).toBe("*");
    expect(passRoute(head("OPTIONS http://a HTTP/1.1\nHost: a"), "/p").target).toBe("*");
  });

  test("Max-Forwards: 0 goes no further with TRACE and OPTIONS, and means nothing to others", () => {
    expect(routeOf(head("TRACE / HTTP/1.1\nHost: a\nMax-Forwards: 0"), under("")).kind).toBe("echo");
    expect(routeOf(head("OPTIONS / HTTP/1.1\nHost: a\nMax-Forwards: 0"), under("")).kind).toBe("options");
    expect(routeOf(head("OPTIONS / HTTP/1.1\nHost: a\nMax-Forwards: 00"), under("")).kind).toBe("options");
    expect(routeOf(head("POST / HTTP/1.1\nHost: a\nMax-Forwards: 0"), under("")).kind).toBe("pass");
  });

  test("a Max-Forwards that can not be counted is refused with TRACE and OPTIONS (RFC 9110 section 7.6.2)", () => {
    for (const lines of ["0\nMax-Forwards: 0", "5\nMax-Forwards: 3", "0, 0", "", "-1", "0x1", "1.0", "many"]) {
      for (const method of ["TRACE", "OPTIONS"])
        expect(routeOf(head(`${method} / HTTP/1.1\nHost: a\nMax-Forwards: ${lines}`), under(""))).toMatchObject({
          kind: "malformed",
          fault: { reason: "max-forwards", status: 400 },
        });
      expect(routeOf(head(`POST / HTTP/1.1\nHost: a\nMax-Forwards: ${lines}`), under("")).kind).toBe("pass");
    }
  });

  test("refuses CONNECT, TRACE with content, other expectations, dot segments under a prefix", () => {
    expect(routeOf(head("CONNECT a:1 HTTP/1.1\nHost: a:1"), under(""))).toMatchObject({ kind: "answer", status: 501 });
    const trace = head("TRACE / HTTP/1.1\nHost: a\nContent-Length: 1");
    expect(routeOf(trace, under(""))).toMatchObject({ kind: "malformed", fault: { status: 400 } });
    const expecting = (lines: string) =>
      routeOf(head(`POST / HTTP/1.1\nHost: a\nContent-Length: 1\n${lines}`), under(""));
    for (const unknown of ["Expect: x", "Expect: 100-continue, x", "Expect: 100-continue\nExpect: x"])
      expect(expecting(unknown)).toMatchObject({ kind: "answer", status: 417 });
    // A list (RFC 9110 section 10.1.1), which may say a thing twice, and whose empty elements say nothing (section 5.6.1).
    for (const known of [
      "Expect: 100-Continue, 100-continue,",
      "Expect: 100-continue\nExpect: 100-continue",
      "Expect:",
    ])
      expect(expecting(known)).toMatchObject({ kind: "pass" });
    expect(routeOf(head("POST /%2e%2E/ HTTP/1.1\nHost: a"), under("/p"))).toMatchObject({
      kind: "answer",
      status: 400,
    });
    expect(routeOf(head("POST /../ HTTP/1.1\nHost: a"), under("")).kind).toBe("pass");
  });

  test("offers WebSocket only, in HTTP/1.1, when Connection says so", () => {
    const upgrade = (more: string, version = "1.1") => {
      const route = routeOf(head(`GET / HTTP/${version}\nHost: a\n${more}`), under(""));
      return route.kind === "pass" ? route.upgrade : undefined;
    };
    expect(upgrade("Connection: keep-alive, Upgrade\nUpgrade: WebSocket")).toBe("WebSocket");
    expect(upgrade("Upgrade: websocket")).toBeUndefined();
    expect(upgrade("Connection: Upgrade\nUpgrade: h2c")).toBeUndefined();
    expect(upgrade("Connection: Upgrade\nUpgrade: websocket, h2c")).toBeUndefined();
    expect(upgrade("Connection: Upgrade\nUpgrade: websocket", "1.0")).toBeUndefined();
    expect(upgrade("Connection: Upgrade\nUpgrade: websocket\nContent-Length: 1")).toBeUndefined();
  });
});

describe("passFields()", () => {
  test("keeps order, case and repeats; takes out what is the connection's; names this hop", () => {
    const request =
      "PUT / HTTP/1.0\nHost: front\nX-b: 1\nconnection: x-b, close\nX-A: 1\nX-a: 2\nkeep-alive: 1\nVia: 1.0 fred\nContent-Length: 2\nTE: gzip";
    expect([...fieldsOf(request)]).toEqual([
      ["X-A", "1"],
      ["X-a", "2"],
      ["Via", "1.0 fred"],
      ["Content-Length", "2"],
      ["Forwarded", "for=192.0.2.1;host=front;proto=http"],
      ["X-Forwarded-For", "192.0.2.1"],
      ["X-Forwarded-Proto", "http"],
      ["X-Forwarded-Host", "front"],
      ["Via", "1.0 webproxy"],
    ]);
  });

  const FORGED =
    "POST / HTTP/1.1\nHost: a:1\nForwarded: for=1.1.1.1\nX-Forwarded-For: 1.1.1.1\nX-Forwarded-Host: evil\nX-Forwarded-Proto: https\nX-Forwarded-Prefix: /x\nX-Real-IP: 1.1.1.1\nX-Original-URL: /admin";

  test("a client's word about itself is not passed on", () => {
    const fields = fieldsOf(FORGED);
    expect(fields.get("forwarded")).toBe('for=192.0.2.1;host="a:1";proto=http');
    expect(fields.get("x-forwarded-for")).toBe("192.0.2.1");
    expect(fields.get("x-forwarded-host")).toBe("a:1");
    expect(fields.get("x-forwarded-proto")).toBe("http");
    for (const name of ["x-forwarded-prefix", "x-real-ip", "x-original-url"]) expect(fields.has(name)).toBe(false);
  });

  test("a trusted proxy's is, with the proxy added", () => {
    const fields = fieldsOf(FORGED, PROXY);
    expect(fields.all("forwarded")).toEqual(['for=1.1.1.1, for="[2001:db8::1]";host="a:1";proto=http']);
    expect(fields.all("x-forwarded-for")).toEqual(["1.1.1.1, 2001:db8::1"]);
    expect(fields.all("x-forwarded-host")).toEqual(["evil"]);
    expect(fields.all("x-forwarded-proto")).toEqual(["https"]);
  });

  test("Expect goes with content only, and not for HTTP/1.0; chunks stay chunks; TE: trailers is said on", () => {
    const expecting = (version: string, more: string) =>
      fieldsOf(`POST / HTTP/${version}\nHost: a\nExpect: 100-continue${more}`).has("expect");
    expect(expecting("1.1", "\nContent-Length: 1")).toBe(true);
    expect(expecting("1.0", "\nContent-Length: 1")).toBe(false);
    expect(expecting("1.1", "")).toBe(false);
    const chunked = fieldsOf("POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\nTE: gzip, trailers\nTrailer: A, B");
    expect(chunked.all("trailer")).toEqual(["A, B"]);
    expect(fieldsOf("POST / HTTP/1.1\nHost: a\nContent-Length: 1\nTrailer: A").has("trailer")).toBe(false);
    expect(chunked.all("transfer-encoding")).toEqual(["chunked"]);
    expect([chunked.get("te"), chunked.get("connection")]).toEqual(["trailers", "TE"]);
  });

  test("Max-Forwards is counted down", () => {
    expect(fieldsOf("OPTIONS / HTTP/1.1\nHost: a\nMax-Forwards: 3").get("max-forwards")).toBe("2");
    expect(fieldsOf("POST / HTTP/1.1\nHost: a\nMax-Forwards: 3").get("max-forwards")).toBe("3");
    const most = "OPTIONS / HTTP/1.1\nHost: a\nMax-Forwards: 99999999999999999999999";
    expect(fieldsOf(most).get("max-forwards")).toBe("999999999");
  });
});

test("renderCacheFields() lets nothing through by which one client could change what all get (CHECKLIST 31)", () => {
  const asked = head(
    "GET / HTTP/1.1\nHost: a\nX-Forwarded-Host: e\nX-Forwarded-Proto: e\nX-Forwarded-Anything: e\nForwarded: host=e\nX-Original-URL: /e\nX-Rewrite-URL: /e\nX-HTTP-Method-Override: DELETE\nX-HTTP-Method: DELETE\nX-Host: e\nAccept: text/html\nExpect: 100-continue\nContent-Length: 0",
  );
  expect(renderCacheFields(asked)).toBe("Accept: text/html\r\n");
});

test("renderCacheForwarding() names addresses, and what else a rule counts; it is made once for a client that is not trusted", () => {
  const asked = head(
    'GET / HTTP/1.1\nHost: a:1\nForwarded: host=e;FOR="_x\\"y";proto=https\nX-Forwarded-Host: e\nX-Forwarded-For: 1.1.1.1',
  );
  const client: Peer = { address: "192.0.2.1", isTrusted: false, scheme: "https" };
  const alone = "Forwarded: for=192.0.2.1\r\nX-Forwarded-For: 192.0.2.1\r\n";
  const via = "Via: 1.1 webproxy\r\n";
  expect(renderCacheForwarding(asked, "a:1", client, [])).toBe(alone + via);
  expect(renderCacheForwarding(asked, "b", client, ["x-forwarded-proto"])).toBe(
    `${alone}X-Forwarded-Proto: https\r\n${via}`,
  );
  expect(renderCacheForwarding(asked, "b", client, [])).toBe(alone + via);
  expect(renderCacheForwarding({ ...asked, minorVersion: 0 }, "b", client, [])).toBe(`${alone}Via: 1.0 webproxy\r\n`);
  expect(renderCacheForwarding(asked, "a:1", { ...client, isTrusted: true }, ["x-forwarded-host"])).toBe(
    'Forwarded: for="_x\\"y", for=192.0.2.1\r\nX-Forwarded-For: 1.1.1.1, 192.0.2.1\r\nX-Forwarded-Host: e\r\n' + via,
  );
  expect(renderCacheForwarding(asked, "a:1", client, ["forwarded"])).toBe(
    'Forwarded: for=192.0.2.1;host="a:1";proto=https\r\nX-Forwarded-For: 192.0.2.1\r\n' + via,
  );
});

test("renderCacheForwarding() reads what a trusted proxy passes on without a look back, and leaves out what is no address", () => {
  const trusted: Peer = { address: "192.0.2.1", isTrusted: true, scheme: "http" };
  const forwarded = (value: string) => {
    const asked = head("GET / HTTP/1.1\nHost: a");
    asked.fields.add("Forwarded", value);
    return renderCacheForwarding(asked, "a", trusted, []).split("\r\n")[0];
  };
  // 0.5 MB, in which to begin a name at each octet takes minutes: the runner's time-out is the watchdog.
  for (const unit of ["a", "for", 'a="', '\\"', "=", ";", "for=\\"]) {
    const long = unit.repeat(500_000 / unit.length);
    expect(forwarded(`${long}, for=1.1.1.1`)).toEndWith("for=192.0.2.1");
  }
  expect(forwarded('for=, xfor=2.2.2.2, for="3.3.3.3, for=1.1.1.1')).toBe("Forwarded: for=1.1.1.1, for=192.0.2.1");
});

test("renderCacheFields() says that the client takes trailers, and nothing else of its connection", () => {
  const rendered = (text: string) => renderCacheFields(head(text));
  expect(rendered("GET / HTTP/1.1\nHost: a\nConnection: TE\nTE: gzip;q=0.5, Trailers")).toBe("TE: trailers\r\n");
  expect(rendered("GET / HTTP/1.1\nHost: a\nConnection: TE\nTE: gzip")).toBe("");
  expect(rendered("GET / HTTP/1.0\nHost: a\nTE: trailers")).toBe("");
});

describe("routeOf() with sites and rules", () => {
  const siteOf = (name: string, hosts: string[], origin: string, rules: RuleSettings[]) => {
    const settings = { name, hosts, path: "", stripPath: false, origins: [origin], rules };
    return new Site({ id: siteId(settings), ...settings });
  };
  const table = new SiteTable([
    siteOf("a", ["a.example"], "http://a:1/p", [
      { paths: ["/private/*"], bypass: true },
      { paths: ["/counted"], query: { kind: "only", names: ["id"], forward: "counted" } },
      { paths: ["/all"], query: { kind: "only", names: ["id"], forward: "all" } },
    ]),
    siteOf("b", ["b.example"], "http://b:1", []),
  ]);
  const routed = (target: string, host: string, method = "GET") => {
    const route = routeOf(head(`${method} ${target} HTTP/1.1\nHost: ${host}`), table);
    if (route.kind === "answer") return route.status;
    if (route.kind === "cache") return [route.site.settings.name, route.target, route.keyTarget];
    return route.kind === "pass" ? [route.site.settings.name, "pass", route.target] : route.kind;
  };

  test("a request goes to the site of its host, and to nobody where there is none", () => {
    expect(routed("/x", "A.example:80")).toEqual(["a", "/p/x", "/p/x"]);
    expect(routed("/x", "b.example")).toEqual(["b", "/x", "/x"]);
    expect(routed("http://b.example/x", "a.example")).toEqual(["b", "/x", "/x"]);
    expect(routed("/x", "c.example")).toBe(421);
    expect(routed("/x", "c.example", "POST")).toBe(421);
    expect(routed("*", "b.example", "OPTIONS")).toEqual(["b", "pass", "*"]);
  });

  test("a rule sends it past the cache, or says what is forwarded and what is in the key", () => {
    expect(routed("/private/x?y", "a.example")).toEqual(["a", "pass", "/p/private/x?y"]);
    expect(routed("/private/x", "b.example")).toEqual(["b", "/private/x", "/private/x"]);
    expect(routed("/counted?utm=1&id=2", "a.example")).toEqual(["a", "/p/counted?id=2", "/p/counted?id=2"]);
    expect(routed("/all?utm=1&id=2", "a.example")).toEqual(["a", "/p/all?utm=1&id=2", "/p/all?id=2"]);
    // What the origin might read as /private/x is not kept as anything else.
    expect(routed("/y/%2fprivate/x", "a.example")).toEqual(["a", "pass", "/p/y/%2fprivate/x"]);
  });
});
