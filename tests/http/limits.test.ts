/** CHECKLIST 24 over real sockets, many at a time, from clients and from origins: refused, at bounded memory, while others are served. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { CountingOrigin } from "../support/counting-origin.ts";
import { getfile } from "../support/getfile-client.ts";
import { field, http } from "../support/http-client.ts";
import { processUsage } from "../support/process-usage.ts";
import { Webproxy } from "../support/webproxy.ts";
import { RawOrigin, Wire } from "./wire.ts";

setDefaultTimeout(120_000);

const MIB = 1024 * 1024;
const HOST = "HTTP/1.1\r\nHost: a\r\n";
const SMUGGLED = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";

const HEADS: readonly [name: string, octets: string, status: string][] = [
  ["a field of 1 MB", `GET / ${HOST}A: ${"b".repeat(MIB)}\r\n\r\n`, "431"],
  ["a field name of 1 MB", `GET / ${HOST}${"b".repeat(MIB)}: a\r\n\r\n`, "431"],
  ["fields of 1 MB together", `GET / ${HOST}${`A: ${"b".repeat(1000)}\r\n`.repeat(1050)}\r\n`, "431"],
  ["10,000 fields", `GET / ${HOST}${"A: b\r\n".repeat(10_000)}\r\n`, "431"],
  ["a target of 1 MB", `GET /${"a".repeat(MIB)} ${HOST}\r\n`, "414"],
  ["a query of 1 MB", `DELETE /?${"a".repeat(MIB)} ${HOST}\r\n`, "414"],
  ["a method of 1 MB", `${"A".repeat(MIB)} / ${HOST}\r\n`, "414"],
  [
    "a chunk extension of 1 MB",
    `POST / ${HOST}Transfer-Encoding: chunked\r\n\r\n1;${"a".repeat(MIB)}\r\nx\r\n0\r\n\r\n`,
    "413",
  ],
  ["trailers of 1 MB", `POST / ${HOST}Transfer-Encoding: chunked\r\n\r\n0\r\nA: ${"a".repeat(MIB)}\r\n\r\n`, "431"],
];

test("24 heads of 1 MB, 10,000 fields, targets of 1 MB: refused and closed, a hundred at a time, while hits go on", async () => {
  await using origin = CountingOrigin.start({
    "/hit": { body: Buffer.from("hit"), headers: { "Cache-Control": "max-age=600" } },
  });
  await using webproxy = await Webproxy.start({ origin: origin.url, args: ["--threads", "1"] });
  const hit = async () => expect(await http(webproxy.http, "/hit")).toMatchObject({ status: "200", isComplete: true });
  await hit();
  const { pid } = (await webproxy.stats()).proxy!;
  const refusal = async ([name, octets, status]: (typeof HEADS)[number]) => {
    using client = await Wire.connect(webproxy.http);
    await client.send(octets + SMUGGLED); // perhaps not all of it: it is closed while we send
    const said = await client.rest();
    expect({ name, said: said.slice(0, 13) }).toEqual({ name, said: `HTTP/1.1 ${status} ` });
    expect(said.match(/HTTP\/1\.1 /g)).toHaveLength(1);
  };
  for (const head of HEADS) await refusal(head);
  const before = processUsage(pid).residentBytes;
  let most = before;
  for (let round = 0; round < 3; round++) {
    const crowd = Array.from({ length: 99 }, (_, index) => refusal(HEADS[index % HEADS.length]!));
    for (let time = 0; time < 10; time++) await hit();
    await Promise.all(crowd);
    most = Math.max(most, processUsage(pid).residentBytes);
  }
  expect(most - before).toBeLessThan(64 * MIB);
  // Requests whose head was in order have begun to pass; none was whole, and nothing behind one was taken for another.
  expect(origin.requests.filter(({ method }) => method !== "POST").map(({ target }) => target)).toEqual(["/hit"]);
});

const TOO_LARGE = "http_response_header_section_size";
const RESPONSES: readonly [name: string, octets: string, error: string][] = [
  ["a field of 1 MB", `HTTP/1.1 200 OK\r\nA: ${"b".repeat(MIB)}\r\nContent-Length: 0\r\n\r\n`, TOO_LARGE],
  ["10,000 fields", `HTTP/1.1 200 OK\r\n${"A: b\r\n".repeat(10_000)}Content-Length: 0\r\n\r\n`, TOO_LARGE],
  ["a reason of 1 MB", `HTTP/1.1 200 ${"b".repeat(MIB)}\r\nContent-Length: 0\r\n\r\n`, "http_protocol_error"],
  ["a status line that never ends", "H".repeat(MIB), "http_protocol_error"],
  ["interim responses without end", "HTTP/1.1 100 Continue\r\n\r\n".repeat(10_000), "http_protocol_error"],
];

test("24 the same from an origin: 502, ERROR, and its connection is not used again", async () => {
  let answer = "";
  using origin = new RawOrigin(async (wire) => {
    await wire.head();
    await wire.send(answer);
  });
  await using webproxy = await Webproxy.start({ origin: origin.url, args: ["--threads", "1"] });
  for (const [name, octets, error] of RESPONSES) {
    answer = octets;
    for (const method of ["GET", "DELETE"]) {
      const { status, head } = await http(webproxy.http, `/${name.replaceAll(" ", "-")}`, { method });
      expect({ name, method, status }).toEqual({ name, method, status: "502" });
      expect({ name, error: field(head, "proxy-status") }).toEqual({ name, error: `webproxy; error=${error}` });
    }
    expect(await getfile(webproxy.getfile, "/x")).toMatchObject({ status: "ERROR" });
  }
  expect(origin.wires).toHaveLength(RESPONSES.length * 3);
  origin.check();
});

test("--max-head 1MiB takes what it says, also where it does not fit into a segment", async () => {
  const target = `/${"t".repeat(250 * 1024)}`;
  await using origin = CountingOrigin.start({ [target]: { body: Buffer.from("found") } });
  await using webproxy = await Webproxy.start({
    origin: origin.url,
    args: ["--max-head", "1MiB", "--segment-size", "64KiB"],
  });
  for (const method of ["GET", "DELETE"])
    expect(await http(webproxy.http, target, { method })).toMatchObject({ status: "200", bytes: 5, isComplete: true });
  const long = { "X-Long": "v".repeat(700 * 1024) };
  for (const method of ["GET", "DELETE"])
    expect(await http(webproxy.http, "/none", { method, headers: long })).toMatchObject({ status: "404" });
  expect(field(origin.requests.at(-1)!.head, "x-long")).toHaveLength(700 * 1024);
  expect((await http(webproxy.http, `/${"t".repeat(257 * 1024)}`)).status).toBe("414");
});

test("--max-fields and --max-target are limits of their own: all up to them passes, the next is refused, whatever it asks for", async () => {
  const longest = `/${"t".repeat(511)}`;
  await using origin = CountingOrigin.start({ [longest]: { body: Buffer.from("found") } });
  await using webproxy = await Webproxy.start({
    origin: origin.url,
    args: ["--threads", "1", "--max-fields", "20", "--max-target", "512"],
  });
  const ask = async (method: string, target: string, fields: number) => {
    using client = await Wire.connect(webproxy.http);
    await client.send(`${method} ${target} ${HOST}Connection: close\r\n${"A: b\r\n".repeat(fields - 2)}\r\n`);
    return (await client.rest()).slice(9, 12);
  };
  for (const method of ["GET", "DELETE"]) {
    expect({ method, is: await ask(method, longest, 20) }).toEqual({ method, is: "200" });
    expect({ method, is: await ask(method, longest, 21) }).toEqual({ method, is: "431" });
    expect({ method, is: await ask(method, `${longest}t`, 20) }).toEqual({ method, is: "414" });
  }
  expect(origin.count(longest)).toBe(2);
});

test("--max-fields takes more than by default where it says so, and what the origin gets is all of them", async () => {
  await using origin = CountingOrigin.start({ "/a": { body: Buffer.from("a") } });
  await using webproxy = await Webproxy.start({ origin: origin.url, args: ["--max-fields", "1000"] });
  for (const method of ["GET", "DELETE"]) {
    using client = await Wire.connect(webproxy.http);
    await client.send(`${method} /a ${HOST}Connection: close\r\n${"X-Many: b\r\n".repeat(998)}\r\n`);
    expect(await client.rest()).toStartWith("HTTP/1.1 200 ");
  }
  for (const { head } of origin.requests) expect(head.match(/^X-Many: b\r$/gm)).toHaveLength(998);
});
