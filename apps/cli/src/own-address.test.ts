import { describe, expect, test } from "bun:test";
import { isOwnAddress, refuseOwnAddress } from "./own-address.ts";

const LOCAL = ["127.0.0.1", "::1", "192.0.2.7"];
const HERE = { host: "127.0.0.1", httpPort: 8080, httpsPort: 8443, tlsCert: undefined };

const isOwn = (url: string, listening: Partial<Parameters<typeof isOwnAddress>[1]> = {}) =>
  isOwnAddress(new URL(url), { ...HERE, ...listening }, LOCAL);

describe("isOwnAddress()", () => {
  test("is true for the address and port of a listener, however it is written", () => {
    for (const url of ["http://127.0.0.1:8080/a", "http://localhost:8080", "https://127.0.0.1:8080"])
      expect([url, isOwn(url)]).toEqual([url, true]);
    expect(isOwn("http://[::1]:8080", { host: "::1" })).toBe(true);
    expect(isOwn("http://127.0.0.1", { httpPort: 80 })).toBe(true);
    expect(isOwn("https://127.0.0.1:8443", { tlsCert: "a.pem" })).toBe(true);
  });

  test("is true for every address of this machine where all are listened on", () => {
    for (const host of ["0.0.0.0", "::"])
      for (const url of ["http://192.0.2.7:8080", "http://127.0.0.9:8080", "http://localhost:8080"])
        expect([host, url, isOwn(url, { host })]).toEqual([host, url, true]);
  });

  test("is false for another port, another address, and a port that is not listened on", () => {
    for (const url of [
      "http://127.0.0.1:8081",
      "http://127.0.0.2:8080",
      "http://192.0.2.7:8080",
      "http://example.org:8080",
    ])
      expect([url, isOwn(url)]).toEqual([url, false]);
    expect(isOwn("https://127.0.0.1:8443")).toBe(false);
    expect(isOwn("http://192.0.2.8:8080", { host: "0.0.0.0" })).toBe(false);
    expect(isOwn("http://127.0.0.1:8080", { httpPort: 0 })).toBe(false);
  });
});

test("refuseOwnAddress() names the origin, also of a site, and what to do", () => {
  const sites = [{ name: "a", origin: ["http://127.0.0.1:8080/a"] }];
  expect(() => refuseOwnAddress({ ...HERE, origin: undefined, sites })).toThrow(
    /^Cannot use http:\/\/127.0.0.1:8080\/a as an origin: it is where this proxy itself listens, .* give /,
  );
  expect(() => refuseOwnAddress({ ...HERE, origin: ["demo"], sites: [] })).not.toThrow();
});
