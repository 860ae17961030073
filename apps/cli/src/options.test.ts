import { describe, expect, expectTypeOf, test } from "bun:test";
import { CHANNEL_NAME, THREADS_MAX as PROTOCOL_THREADS_MAX } from "@proj/protocol";
import { DEFAULT_CLIENT_LIMITS } from "@proj/proxy";
import { CommandError } from "./command-error.ts";
import type { KeyConfig, RuleConfig, SiteConfig, WebproxyConfig } from "./config.ts";
import { flagNames, longFlag } from "./flags.ts";
import {
  asArguments,
  type FlagName,
  type OptionsInput,
  parseOptions,
  type RawOptions,
  sourceOf,
  THREADS_MAX,
} from "./options.ts";
import type { RuleOptions, SiteOptions } from "./site-config.ts";

function refusalOf(flags: RawOptions, values?: RawOptions): CommandError {
  try {
    parseOptions(values === undefined ? { flags } : { flags, file: { path: "webproxy.config.json", values } });
  } catch (error) {
    if (error instanceof CommandError) return error;
    throw error;
  }
  throw new Error(`${JSON.stringify(flags)} was not refused`);
}

describe("parseOptions()", () => {
  test("one port for both wires is refused; two free ones are not", () => {
    const both = (port: string) => () => parseOptions({ flags: { httpPort: port, getfilePort: port } });
    expect(both("8080")).toThrow("Cannot use 8080 for both --http-port and --getfile-port");
    expect(both("0")).not.toThrow();
  });

  test("refuses a target that is longer than the head which holds it", () => {
    const both = (maxTarget: string, maxHead: string) => () => parseOptions({ flags: { maxTarget, maxHead } });
    expect(both("64KiB", "32KiB")).toThrow("Cannot use 65536 bytes for --max-target with 32768 for --max-head");
    expect(both("32KiB", "32KiB")).not.toThrow();
  });

  test("gives the documented defaults", () => {
    expect(parseOptions({ flags: {} })).toMatchObject({
      origin: ["./public"],
      segments: 64,
      segmentSize: 262_144,
      getfilePort: 19121,
      getfileWire: "crlf",
      httpPort: 8080,
      adminPort: 8081,
      adminHost: "127.0.0.1",
      host: "127.0.0.1",
      memory: 268_435_456,
      disk: 10_737_418_240,
      hot: 67_108_864,
      headTimeout: 10,
      httpsPort: 8443,
      idleTimeout: 60,
      minBodyRate: 500,
      maxConnections: 16_384,
      maxHead: 65_536,
      maxFields: 256,
      channel: "default",
      logFormat: "pretty",
      quiet: false,
    });
    expect(parseOptions({ flags: {} }).threads).toBeGreaterThanOrEqual(1);
    expect(parseOptions({ flags: {} }).cacheDir).toBeUndefined();
  });

  test("takes text from flags and typed values from a file, and flags win", () => {
    const values = { threads: 3, segmentSize: "64KiB", memory: 4096, quiet: true };
    const options = parseOptions({ flags: { threads: "8", segments: "16" }, file: { path: "c.json", values } });
    expect(options).toMatchObject({ threads: 8, segments: 16, segmentSize: 65_536, memory: 4096, quiet: true });
  });

  const refused: readonly [FlagName, unknown, RegExp][] = [
    ["threads", "0", /from 1 to 64/],
    ["threads", "65", /from 1 to 64/],
    ["threads", "2.5", /whole number/],
    ["threads", "two", /whole number/],
    ["threads", 2.5, /whole number/],
    ["threads", Number.NaN, /whole number/],
    ["threads", null, /whole number/],
    ["segments", "0", /from 1 to 65535/],
    ["segments", "-1", /from 1/],
    ["segments", "65536", /to 65535/],
    ["segmentSize", "7", /at least 4KiB/],
    ["segmentSize", "4095", /at least 4KiB/],
    ["segmentSize", "2GiB", /at most 1GiB/],
    ["segmentSize", "64KB", /KiB/],
    ["getfilePort", "65536", /0 to 65535/],
    ["httpPort", "http", /0 to 65535/],
    ["adminPort", -1, /0 to 65535/],
    ["getfileWire", "lf", /crlf or pr3/],
    ["logFormat", "xml", /pretty or json or combined/],
    ["memory", "-5", /such as 256KiB/],
    ["disk", "10 GiB", /such as 256KiB/],
    ["hot", 0.5, /such as 256KiB/],
    ["channel", "../x", /channel's name/],
    ["channel", "", /empty/],
    ["channel", "a.b", /channel's name/],
    ["channel", "x".repeat(65), /channel's name/],
    ["host", "a b", /IP address or a host name/],
    ["host", "127.0.0.1\r\nx", /IP address or a host name/],
    ["adminHost", "[::1]", /IP address or a host name/],
    ["origin", "", /empty/],
    ["origin", [], /empty/],
    ["origin", ["http://a", ""], /empty/],
    ["origin", 5, /a text, or a list of texts/],
    ["trustProxy", "everybody", /10\.0\.0\.0\/8/],
    ["trustProxy", "10.0.0.0/33", /10\.0\.0\.0\/8/],
    ["trustProxy", "", /10\.0\.0\.0\/8/],
    ["trustProxy", ["::1", "x"], /10\.0\.0\.0\/8/],
    ["headTimeout", "0", /seconds from 1/],
    ["tlsCert", "a.pem,", /names of files/],
    ["tlsKey", "", /names of files/],
    ["httpsPort", "65536", /0 to 65535/],
    ["idleTimeout", "1.5", /whole number/],
    ["maxConnections", "0", /connections from 1/],
    ["maxHead", "1023", /at least 1KiB/],
    ["maxFields", "15", /fields from 16 to 4096/],
    ["maxFields", "4097", /fields from 16 to 4096/],
    ["maxTarget", "255", /at least 256/],
    ["maxTarget", "2MiB", /at most 1MiB/],
    ["quiet", "yes", /true or false/],
    ["shared", "redis://h:1/0", /nothing behind/],
    ["shared", "redis://h:1,k:65536", /from 1 to 65535/],
    ["shared", "redis://h:0", /from 1 to 65535/],
  ];
  for (const [name, value, message] of refused) {
    test(`refuses ${JSON.stringify(value)} for ${name}`, () => {
      const refusal = refusalOf({ [name]: value });
      expect(refusal.exitCode).toBe(2);
      expect(refusal.message).toStartWith("Cannot use ");
      expect(refusal.message).toContain(longFlag(name));
      expect(refusal.message).toMatch(message);
      expect(refusalOf({}, { [name]: value }).message).toContain(`"${name}" in webproxy.config.json`);
    });
  }

  test("refuses an address of the shared tier without showing its password", () => {
    for (const address of [
      "redis://u:geheim@h:1/0",
      "redis://u:ge@heim@h",
      "redis://u:ge/heim@h",
      "redis://:geheim@h:0",
    ]) {
      const { message } = refusalOf({ shared: address });
      expect(message).toContain('"redis://***@h');
      expect(message).not.toContain("heim");
    }
    const refused = (values: object) => refusalOf({}, values as RawOptions).message;
    expect(refused({ shared: ["redis://u:geheim@h:1"] })).not.toContain("geheim");
  });

  test("refuses an option that does not exist, and names the one that was meant, or all", () => {
    const refused = (values: object) => refusalOf({}, values as RawOptions).message;
    expect(refused({ thread: 3 })).toBe(
      'Cannot use "thread" in webproxy.config.json: there is no such option; did you mean threads?',
    );
    expect(refused({ colour: "red" })).toMatch(
      /^Cannot use "colour" in webproxy.config.json: .*; there are origin, .*segmentSize/,
    );
  });

  test("takes flags before the environment, and that before a file", () => {
    const file = { path: "c.json", values: { threads: 3, segments: 5, hot: 7, quiet: false } };
    const environment = {
      WEBPROXY_THREADS: "4",
      WEBPROXY_SEGMENTS: "6",
      WEBPROXY_QUIET: "true",
      WEBPROXY_TESTS: "whole",
    };
    const sources = { flags: { threads: "8" }, environment, file };
    expect(parseOptions(sources)).toMatchObject({ threads: 8, segments: 6, hot: 7, quiet: true });
    const names = ["threads", "segments", "hot", "channel"] as const;
    expect(names.map((name) => sourceOf(name, sources))).toEqual(["flag", "environment", "file", "default"]);
    const urls = { WEBPROXY_ORIGIN: "http://a:1  http://a:2" };
    expect(parseOptions({ flags: {}, environment: urls }).origin).toEqual(["http://a:1", "http://a:2"]);
    expect(parseOptions({ flags: {}, environment: { WEBPROXY_ORIGIN: "my files" } }).origin).toEqual(["my files"]);
    expect(
      parseOptions({ flags: {}, environment: { WEBPROXY_THREADS: "x" }, names: ["channel"] }).threads,
    ).toBeGreaterThan(0);
    expect(parseOptions({ flags: {}, environment: { WEBPROXY_CHANNEL: "" } }).channel).toBe("default");
  });

  test("calls a value by the name of its variable, and knows one that was misspelled", () => {
    const refusal = (environment: Record<string, string>) => () => parseOptions({ flags: {}, environment });
    expect(refusal({ WEBPROXY_HTTP_PORT: "x" })).toThrow('Cannot use "x" for WEBPROXY_HTTP_PORT: a port is');
    expect(refusal({ WEBPROXY_HTPP_PORT: "1" })).toThrow("did you mean WEBPROXY_HTTP_PORT?");
    expect(refusal({ WEBPROXY_CONFG: "x" })).toThrow("did you mean WEBPROXY_CONFIG?");
    expect(refusal({ WEBPROXY_SOMEBODYS_OWN: "x" })).not.toThrow();
  });

  test("takes proxies to trust as a list of either kind", () => {
    const text = "10.0.0.0/8,::1,fd00::/8";
    expect(parseOptions({ flags: { trustProxy: text } }).trustProxy).toBe(text);
    expect(parseOptions({ flags: { trustProxy: text.split(",") } }).trustProxy).toBe(text);
  });

  test("the client limits are the proxy's own", () => {
    const { headTimeout, idleTimeout, minBodyRate, maxConnections, maxHead, maxFields } = parseOptions({ flags: {} });
    expect([headTimeout * 1000, idleTimeout * 1000, minBodyRate, maxConnections, maxHead, maxFields]).toEqual([
      DEFAULT_CLIENT_LIMITS.headTimeoutMs,
      DEFAULT_CLIENT_LIMITS.idleTimeoutMs,
      DEFAULT_CLIENT_LIMITS.contentRateMin,
      DEFAULT_CLIENT_LIMITS.connections,
      DEFAULT_CLIENT_LIMITS.head.headBytes,
      DEFAULT_CLIENT_LIMITS.head.fields,
    ]);
  });

  test("takes every IP address and host name that a listener takes", () => {
    for (const host of ["127.0.0.1", "0.0.0.0", "::", "::1", "localhost", "proxy-1.example"]) {
      expect(parseOptions({ flags: { host } }).host).toBe(host);
    }
  });
});

test("the limits are the channel's own", () => {
  expect(THREADS_MAX).toBe(PROTOCOL_THREADS_MAX);
  for (const name of ["a", "0", "a-b_c", "-a", "", "a.b", "ä", "x".repeat(64), "x".repeat(65)]) {
    const isTaken = CHANNEL_NAME.test(name);
    if (isTaken) expect(parseOptions({ flags: { channel: name } }).channel).toBe(name);
    else expect(refusalOf({ channel: name }).exitCode).toBe(2);
  }
});

test("longFlag() is what the command line says", () => {
  expect(flagNames().map(longFlag)).toContain("--segment-size");
  expect(longFlag("cacheDir")).toBe("--cache-dir");
});

test("the documented type of a config file and the schema agree", () => {
  expectTypeOf<keyof WebproxyConfig>().toEqualTypeOf<keyof OptionsInput>();
  expectTypeOf<Required<WebproxyConfig>>().toExtend<OptionsInput>();
  expectTypeOf<keyof SiteConfig>().toEqualTypeOf<keyof SiteOptions>();
  expectTypeOf<keyof RuleConfig>().toEqualTypeOf<keyof RuleOptions>();
  expectTypeOf<keyof KeyConfig>().toEqualTypeOf<keyof NonNullable<RuleOptions["key"]>>();
  expect(flagNames()).toContain("origin");
});

test("asArguments() is read back as the same options", () => {
  const origin = ["http://h:1/p/", "http://i:1/p/"];
  const options = parseOptions({ flags: { threads: 3, quiet: true, cacheDir: "/x y", origin } });
  const flags: RawOptions & { origin?: unknown[] } = {};
  const args = asArguments(options);
  const nameOf = new Map(flagNames().map((name) => [longFlag(name), name]));
  while (args.length > 0) {
    const name = nameOf.get(args.shift()!)!;
    if (name === "origin") flags.origin = [...(flags.origin ?? []), args.shift()!];
    else flags[name] = name === "quiet" ? true : args.shift()!;
  }
  expect(parseOptions({ flags })).toEqual(options);
});
