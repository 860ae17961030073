import { describe, expect, test } from "bun:test";
import { OriginError, type OriginFault } from "@proj/origin";
import { parseRequestHead, parseResponseHead } from "@proj/protocol";
import { echoOf, renderOwnResponse } from "./own-response.ts";
import { passFraming, renderInterim, renderPassHead } from "./pass-response.ts";
import { faultOf, gatewayFaultOf } from "./proxy-status.ts";

const TO = { isHead: false, connection: undefined, nowMs: 0 } as const;

function responseHead(text: string) {
  const bytes = Buffer.from(`${text.replaceAll("\n", "\r\n")}\r\n\r\n`, "latin1");
  const parsed = parseResponseHead(bytes, 0, bytes.length);
  if (parsed.kind !== "response") throw new Error(parsed.reason);
  return parsed;
}

describe("renderOwnResponse()", () => {
  test("is a whole message, and its head alone for HEAD", () => {
    const whole = renderOwnResponse({ status: 502, text: "No", error: "dns_error" }, TO);
    expect(whole.endsWith("\r\n\r\nNo\n")).toBe(true);
    const head = renderOwnResponse({ status: 502, text: "No", error: "dns_error" }, { ...TO, isHead: true });
    expect(`${head}No\n`).toBe(whole);
    const { fields } = responseHead(head.trimEnd().replaceAll("\r\n", "\n"));
    expect(fields.get("content-length")).toBe("3");
    expect(fields.get("proxy-status")).toBe("webproxy; error=dns_error");
  });

  test("says when to come back with 503", () => {
    expect(renderOwnResponse({ status: 503, text: "No" }, TO)).toContain("\r\nRetry-After: 1\r\n");
  });
});

test("echoOf() gives a head back without credentials", () => {
  const bytes = Buffer.from("TRACE /a HTTP/1.1\r\nHost: a\r\nCookie: s\r\nAuthorization: s\r\nX: 1\r\n\r\n");
  const head = parseRequestHead(bytes, 0, bytes.length);
  if (head.kind !== "request") throw new Error(head.reason);
  expect(echoOf(head)).toEqual({
    status: 200,
    text: "TRACE /a HTTP/1.1\r\nHost: a\r\nX: 1\r\n\r\n",
    contentType: "message/http",
  });
});

test("faultOf() gives every failure of an exchange a status and a registered error type (RFC 9209 section 2.3)", () => {
  const expected: Record<OriginFault, [number, string]> = {
    "origin-error": [502, "destination_unavailable"],
    "origin-refused": [502, "connection_refused"],
    "origin-unroutable": [502, "destination_ip_unroutable"],
    "origin-unknown": [502, "dns_error"],
    "origin-unresolved": [504, "dns_timeout"],
    "origin-unconnected": [504, "connection_timeout"],
    "origin-tls": [502, "tls_protocol_error"],
    "origin-certificate": [502, "tls_certificate_error"],
    "origin-alert": [502, "tls_alert_received"],
    "origin-timeout": [504, "http_response_timeout"],
    "origin-stalled": [504, "connection_read_timeout"],
    "origin-closed": [502, "connection_terminated"],
    "cut-short": [502, "http_response_incomplete"],
    "origin-malformed": [502, "http_protocol_error"],
    "origin-head-size": [502, "http_response_header_section_size"],
    "origin-coding": [502, "http_response_transfer_coding"],
    "origin-busy": [503, "connection_limit_reached"],
    cancelled: [503, "proxy_internal_response"],
  };
  for (const [fault, [status, error]] of Object.entries(expected) as [OriginFault, [number, string]][])
    expect({ fault, ...faultOf(new OriginError(fault, "x", { headSeen: false })) }).toMatchObject({
      fault,
      status,
      error,
    });
});

test("gatewayFaultOf() names no error of what is not behind us", () => {
  for (const reason of ["not-found", "not-stored", "cache-away", "request-too-large"] as const)
    expect(gatewayFaultOf(reason).error).toBeUndefined();
});

describe("responses that pass", () => {
  const how = { method: "POST", framing: { kind: "chunked" }, connection: undefined, nowMs: 0 } as const;

  test("keep order, case, repeats and reason; lose what is the connection's; name this hop", () => {
    const head = responseHead(
      "HTTP/1.0 299 Own \xe9\nset-cookie: a\nX-B: 1\nSet-Cookie: b\nconnection: x-b\nKeep-Alive: 1\nDate: now\nCache-Status: up; hit\nVia: 1.1 up",
    );
    expect(renderPassHead(head, how)).toBe(
      "HTTP/1.1 299 Own \xe9\r\nset-cookie: a\r\nSet-Cookie: b\r\nDate: now\r\nCache-Status: up; hit\r\nVia: 1.1 up\r\n" +
        "Transfer-Encoding: chunked\r\nVia: 1.0 webproxy\r\nCache-Status: webproxy; fwd=method\r\n\r\n",
    );
  });

  test("get a Date where there is none, and no length in 204", () => {
    const text = renderPassHead(responseHead("HTTP/1.1 204 No\nContent-Length: 0"), how);
    expect(text).toContain("\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n");
    expect(text.toLowerCase()).not.toContain("content-length");
  });

  test("of a safe method are a bypass of the cache, else the method's doing", () => {
    const said = (method: string) =>
      /fwd=(\S+)/.exec(renderPassHead(responseHead("HTTP/1.1 200 OK"), { ...how, method }))?.[1];
    expect(["GET", "HEAD", "OPTIONS", "DELETE"].map(said)).toEqual(["bypass", "bypass", "method", "method"]);
  });

  test("of unknown length go in chunks, or until the end of the connection for HTTP/1.0", () => {
    expect(passFraming({ kind: "until-close" }, 1)).toEqual({ kind: "chunked" });
    expect(passFraming({ kind: "chunked" }, 0)).toEqual({ kind: "until-close" });
    expect(passFraming({ kind: "length", bytes: 1 }, 0)).toEqual({ kind: "length", bytes: 1 });
  });

  test("that are interim have no length", () => {
    expect(renderInterim(responseHead("HTTP/1.1 103 Early\nLink: </a>\nContent-Length: 3"))).toBe(
      "HTTP/1.1 103 Early\r\nLink: </a>\r\nVia: 1.1 webproxy\r\n\r\n",
    );
  });
});
