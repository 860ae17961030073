/** "Overload" in docs/reliability.md, over sockets: who comes beyond a bound is told so in the words of its wire, and who was let in before is served to the end. */
import { expect, test } from "bun:test";
import { objectName, type Segment, SegmentPool } from "@proj/ipc";
import { channelNames } from "@proj/protocol";
import { Wire } from "../http/wire.ts";
import { sha256, someBytes } from "../support/bytes.ts";
import { CountingOrigin } from "../support/counting-origin.ts";
import { getfile, getfileRaw } from "../support/getfile-client.ts";
import { field, http } from "../support/http-client.ts";
import { Webproxy } from "../support/webproxy.ts";
import { eventually } from "../support/within.ts";

/** More than kernels take of it ahead of a client that does not read. */
const LARGE = someBytes(32 * 1024 * 1024, 62);
const SMALL = someBytes(1_000, 63);
const FRESH = { "Cache-Control": "max-age=600" };
const large = { length: LARGE.length, sha256: sha256(LARGE), isComplete: true };
const small = { length: SMALL.length, sha256: sha256(SMALL), isComplete: true };

function withFiles(): CountingOrigin {
  return CountingOrigin.start({ "/large": { body: LARGE, headers: FRESH }, "/small": { body: SMALL, headers: FRESH } });
}

function expectBusy(said: string, text: string): void {
  expect(said).toStartWith("HTTP/1.1 503 Service Unavailable\r\n");
  expect(field(said, "retry-after")).toBe("1");
  expect(said.slice(said.indexOf("\r\n\r\n") + 4)).toBe(`${text}\n`);
}

test("beyond --max-connections HTTP is told 503 with Retry-After and GETFILE ERROR, both are closed, and those who were let in go on", async () => {
  await using origin = withFiles();
  await using webproxy = await Webproxy.start({
    origin: origin.url,
    args: ["--threads", "1", "--max-connections", "3"],
  });
  const goOn = Promise.withResolvers<void>();
  let begun = 0;
  const paused = () => ({ pauseAfterBytes: { bytes: 1, until: goOn.promise }, onBody: countOnce(() => begun++) });
  const admitted = [http(webproxy.http, "/large", paused()), getfile(webproxy.getfile, "/large", paused())];
  using idle = await Wire.connect(webproxy.http);
  const ask = async () => {
    await idle.send("GET /small HTTP/1.1\r\nHost: a\r\n\r\n");
    expect(await idle.head()).toStartWith("HTTP/1.1 200 OK\r\n");
    expect(await idle.exactly(SMALL.length)).toBe(SMALL.toString("latin1"));
  };
  try {
    await eventually(20_000, "both are being served", () => begun === 2);
    await ask();
    for (const request of ["", "GET /small HTTP/1.1\r\nHost: a\r\n\r\n", "GET /small HT"]) {
      using client = await Wire.connect(webproxy.http);
      await client.send(request);
      expect(await client.closed()).toBe("end"); // and no reset that could eat what was said
      const said = await client.rest();
      expectBusy(said, "Too many connections are open");
      expect(field(said, "connection")).toBe("close");
    }
    for (const request of ["", "GETFILE GET /small\r\n\r\n"]) {
      using client = await Wire.connect(webproxy.getfile);
      await client.send(request);
      expect(await client.closed()).toBe("end");
      expect(await client.rest()).toBe("GETFILE ERROR \r\n\r\n");
    }
    await ask();
    const { connectionsRefused, connectionsOpen } = (await webproxy.stats()).proxy!.counters;
    expect({ connectionsRefused, connectionsOpen }).toEqual({ connectionsRefused: 5, connectionsOpen: 3 });
  } finally {
    goOn.resolve();
  }
  for (const got of await Promise.all(admitted)) expect(got).toMatchObject(large);
  await ask();
  // There is room again.
  await eventually(20_000, "HTTP is let in", async () => (await http(webproxy.http, "/small")).status === "200");
  expect(await getfile(webproxy.getfile, "/small")).toMatchObject(small);
}, 90_000);

test("62 a request that waits in vain for a segment is told 503 with Retry-After, or ERROR; hits that need none go on meanwhile, and all others afterwards", async () => {
  await using origin = withFiles();
  await using webproxy = await Webproxy.start({ origin: origin.url, args: ["--threads", "1", "--segments", "2"] });
  for (let time = 0; time < 2; time++) expect(await http(webproxy.http, "/small")).toMatchObject(small);
  using pool = SegmentPool.open(objectName(channelNames(webproxy.channel).pool));
  using other = pool.join();
  const held: Segment[] = [];
  for (let count = 0; count < 2; count++) held.push((await other.take({ timeoutMs: 20_000 }))!);
  const before = (await webproxy.stats()).proxy!.counters;
  const waiting = Promise.all([
    http(webproxy.http, "/none"),
    getfileRaw(webproxy.getfile, "GETFILE GET /none\r\n\r\n"),
  ]);
  let isOver = false;
  void waiting.finally(() => {
    isOver = true;
  });
  let hits = 0;
  for (; !isOver; hits++) {
    expect(await http(webproxy.http, "/small")).toMatchObject(small);
    await Bun.sleep(100);
  }
  const [overHttp, overGetfile] = await waiting;
  expectBusy(`${overHttp.head}Too busy at the moment\n`, "Too busy at the moment");
  expect(overHttp).toMatchObject({ status: "503", isComplete: true });
  expect(overGetfile).toMatchObject({ status: "ERROR", isComplete: true });
  expect(hits).toBeGreaterThan(0);
  expect(origin.count("/none")).toBe(0);
  const after = (await webproxy.stats()).proxy!.counters;
  expect(after.segmentTimeouts - before.segmentTimeouts).toBe(2);
  for (const segment of held) other.giveBack(segment);
  expect(await http(webproxy.http, "/none")).toMatchObject({ status: "404" });
  expect(await getfile(webproxy.getfile, "/large")).toMatchObject(large);
  await webproxy.segmentsReturned();
}, 90_000);

function countOnce(count: () => void): () => void {
  let isCounted = false;
  return () => {
    if (!isCounted) count();
    isCounted = true;
  };
}
