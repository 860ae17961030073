import { expect, test } from "bun:test";
import { connectFault, responseFault, tlsFault } from "./errors.ts";

const withCode = (code: string | undefined, message = "told so") => Object.assign(new Error(message), { code });

test.each([
  ["ECONNREFUSED", 0, "origin-refused"],
  ["ENETUNREACH", 0, "origin-unroutable"],
  ["EHOSTUNREACH", 3_000, "origin-unroutable"],
  ["ETIMEDOUT", 120_000, "origin-unconnected"],
  ["ENOTFOUND", 5_000, "origin-unknown"],
  ["EAI_AGAIN", 20, "origin-unknown"],
  ["EAI_AGAIN", 1_000, "origin-unresolved"],
  ["EADDRNOTAVAIL", 0, "origin-error"],
  [undefined, 0, "origin-error"],
] as const)("connectFault() of %p after %d ms is %p", (code, tookMs, expected) => {
  expect(connectFault(withCode(code), tookMs)).toBe(expected);
});

test.each([
  ["DEPTH_ZERO_SELF_SIGNED_CERT", "self signed certificate", "origin-certificate"],
  ["ERR_TLS_CERT_ALTNAME_INVALID", "Hostname/IP does not match", "origin-certificate"],
  ["EPROTO", "error:1000042e:SSL routines:OPENSSL_internal:TLSV1_ALERT_PROTOCOL_VERSION", "origin-alert"],
  ["EPROTO", "error:100000f7:SSL routines:OPENSSL_internal:WRONG_VERSION_NUMBER", "origin-tls"],
  [undefined, "closed", "origin-tls"],
] as const)("tlsFault() of %p, %p is %p", (code, message, expected) => {
  expect(tlsFault(withCode(code, message))).toBe(expected);
});

test("tlsFault() without an error is the protocol's", () => {
  expect(tlsFault(null)).toBe("origin-tls");
});

test.each([
  ["head-too-large", "origin-head-size"],
  ["too-many-fields", "origin-head-size"],
  ["transfer-encoding", "origin-coding"],
  ["transfer-coding-unknown", "origin-coding"],
  ["transfer-encoding-in-http-1.0", "origin-coding"],
  ["content-length-with-transfer-encoding", "origin-malformed"],
  ["status", "origin-malformed"],
] as const)("responseFault() of %p is %p", (reason, expected) => {
  expect(responseFault({ kind: "malformed", reason, status: 502 })).toBe(expected);
});
