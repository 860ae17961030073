// What does a head cost, from bytes to values and back? `bun packages/protocol/bench/http1-head.ts`; ns per head, the best
// of seven rounds, beside the floor: one latin1 copy of the head, which nobody who hands out strings can do without.
import { cpus } from "node:os";
import {
  endToEndFields,
  HeadScanner,
  keepsAlive,
  parseRequestHead,
  renderRequestHead,
  requestFraming,
} from "@proj/protocol";

const CURL = "GET / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nUser-Agent: curl/8.5.0\r\nAccept: */*\r\n\r\n";
const BROWSER =
  "GET /images/logo.png?v=12 HTTP/1.1\r\nHost: www.example.com\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) " +
  "Gecko/20100101 Firefox/128.0\r\nAccept: image/avif,image/webp,*/*\r\nAccept-Language: en-US,en;q=0.5\r\n" +
  "Accept-Encoding: gzip, deflate, br\r\nConnection: keep-alive\r\nReferer: http://www.example.com/\r\n" +
  "Cookie: session=0123456789abcdef\r\nCache-Control: no-cache\r\n\r\n";
const HOSTILE = `GET / HTTP/1.1\r\nHost: a\r\n${`X-${"a".repeat(120)}: ${"\t ".repeat(60)}\r\n`.repeat(250)}\r\n`;
const LOOK_UPS = ["connection", "transfer-encoding", "content-length", "expect", "upgrade", "range", "cache-control"];

const ROUNDS = 7;
const ROUND_MS = 60;
// Where results go, so that no call is without effect.
let kept: unknown;

function measure(task: () => unknown): number {
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < ROUNDS; round++) {
    let calls = 0;
    const start = Bun.nanoseconds();
    let elapsed = 0;
    while (elapsed < ROUND_MS * 1e6) {
      for (let i = 0; i < 200; i++) kept = task();
      calls += 200;
      elapsed = Bun.nanoseconds() - start;
    }
    best = Math.min(best, elapsed / calls);
  }
  return best;
}

console.log(`Bun ${Bun.version}, ${cpus()[0]?.model}`);
for (const [name, text] of Object.entries({ CURL, BROWSER, HOSTILE })) {
  const bytes = new Uint8Array(Buffer.from(text, "latin1"));
  const scanner = new HeadScanner();
  const parse = () => {
    const end = scanner.scan(bytes, 0, bytes.length);
    const head = typeof end === "number" ? parseRequestHead(bytes, 0, end) : undefined;
    if (head?.kind !== "request") throw new Error(`Cannot parse ${name}`);
    return head;
  };
  const buffer = Buffer.from(bytes.buffer);
  const tasks = {
    "latin1 copy (floor)": () => buffer.toString("latin1"),
    "scan, parse": parse,
    "scan, parse, framing, 7 look-ups": () => {
      const head = parse();
      const { fields } = head;
      return [requestFraming(head), keepsAlive(head), LOOK_UPS.map((lowerName) => fields.get(lowerName))];
    },
    "scan, parse, filter, render": () => {
      const head = parse();
      return renderRequestHead(head.method, head.target, endToEndFields(head.fields));
    },
  };
  console.log(`${name}: ${bytes.length} bytes, ${parse().fields.length} fields`);
  for (const [task, run] of Object.entries(tasks))
    console.log(`  ${task.padEnd(34)} ${measure(run).toFixed(0).padStart(8)} ns`);
}
if (kept === undefined) throw new Error("Nothing was measured");
