/**
 * Asks for something small every few milliseconds, each time on a connection of its own, whatever became of the time before: how long was the longest while in
 * which nobody was served? A process of its own, so that it looks also while others work.
 *
 *   prober-process.ts HTTP-PORT GETFILE-PORT
 *
 * To each message it answers with what it has seen since the last one. After "rest" it asks for nothing until the next message comes.
 */
import type { Socket } from "bun";
import { pathOf } from "./content.ts";

/** What is asked for: something hot, both ways, and something that nobody has asked for before. */
export const PROBES = ["http", "getfile", "miss"] as const;
export type ProbeName = (typeof PROBES)[number];

export interface ProbeReport {
  served: number;
  failed: number;
  /** Between two that were served, ms. */
  longestGapMs: number;
  /** From the decision to ask to the last byte, of those that were served. */
  p50Ms: number;
  p99Ms: number;
  maxMs: number;
}
export type ProberReport = Record<ProbeName, ProbeReport>;

const EVERY_MS = 20;
/** One that takes longer was not served; others are on their way meanwhile. */
const PATIENCE_MS = 5_000;
const SIZE = 1_024;

const [httpPort = 0, getfilePort = 0] = process.argv.slice(2).map(Number);
let count = 0;

class Probe {
  readonly #name: ProbeName;
  #lastServed = performance.now();
  #longestGapMs = 0;
  #failed = 0;
  #latencies: number[] = [];

  constructor(name: ProbeName) {
    this.#name = name;
  }

  ask(): void {
    const began = performance.now();
    const path = pathOf(SIZE, this.#name === "miss" ? `m${process.pid}x${count++}` : "hot");
    const isGetfile = this.#name === "getfile";
    const request = isGetfile
      ? `GETFILE GET ${path}\r\n\r\n`
      : `GET ${path} HTTP/1.1\r\nHost: probe\r\nConnection: close\r\n\r\n`;
    const isOk = isGetfile ? /^GETFILE OK 1024/ : /^HTTP\/1\.1 200/;
    let received = "";
    let isOver = false;
    const over = (isServed: boolean) => {
      if (isOver) return;
      isOver = true;
      clearTimeout(timer);
      const now = performance.now();
      if (!isServed) {
        this.#failed++;
        return;
      }
      this.#longestGapMs = Math.max(this.#longestGapMs, now - this.#lastServed);
      this.#lastServed = now;
      this.#latencies.push(now - began);
    };
    let socket: Socket | undefined;
    const timer = setTimeout(() => {
      over(false);
      socket?.terminate();
    }, PATIENCE_MS);
    Bun.connect({
      hostname: "127.0.0.1",
      port: isGetfile ? getfilePort : httpPort,
      socket: {
        open(opened) {
          socket = opened;
          opened.write(request);
        },
        data(opened, chunk) {
          received += chunk.toString("latin1");
          const head = received.indexOf("\r\n\r\n");
          if (head < 0 || received.length < head + 4 + SIZE) return;
          over(isOk.test(received));
          opened.terminate();
        },
        close: () => over(false),
        error: () => over(false),
        connectError: () => over(false),
      },
    }).catch(() => over(false));
  }

  /** Nobody has asked meanwhile: that is no gap. */
  goOn(): void {
    this.#lastServed = performance.now();
  }

  report(): ProbeReport {
    const now = performance.now();
    const sorted = this.#latencies.sort((one, other) => one - other);
    const at = (part: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0;
    const report: ProbeReport = {
      served: sorted.length,
      failed: this.#failed,
      longestGapMs: Math.max(this.#longestGapMs, now - this.#lastServed),
      p50Ms: at(0.5),
      p99Ms: at(0.99),
      maxMs: at(1),
    };
    // A gap that is still open goes on: it is told whole once it has ended.
    this.#longestGapMs = 0;
    this.#failed = 0;
    this.#latencies = [];
    return report;
  }
}

if (import.meta.main) {
  const probes = PROBES.map((name) => ({ name, probe: new Probe(name) }));
  let isResting = false;
  setInterval(() => {
    if (!isResting) for (const { probe } of probes) probe.ask();
  }, EVERY_MS);
  process.on("message", (message: "report" | "rest") => {
    if (isResting) for (const { probe } of probes) probe.goOn();
    isResting = message === "rest";
    process.send!(Object.fromEntries(probes.map(({ name, probe }) => [name, probe.report()])));
  });
  process.on("disconnect", () => process.exit(0));
  process.send!({});
}
