import { objectName, Ring } from "../../packages/ipc/src/index.ts";
import { benchName, outputOf, printMachine, withCompiled } from "./measure.ts";

/**
 * How many bytes a second go through a ring from one process to another, both blocking, beside one memcpy of the same
 * pieces in C? The ring copies each byte twice, in two processes at once.
 */
const CAPACITY = 1 << 20;
const TOTAL = 4 * 2 ** 30;
const PIECES = [1024, 16_384, 65_536, 262_144] as const;
const RUNS = 3;

const [role, name, pieceBytes, total] = process.argv.slice(2);
if (role === "write") write(name!, Number(pieceBytes), Number(total));
else await ask();

async function ask(): Promise<void> {
  printMachine(`bytes through a ring of ${CAPACITY / 1024} KiB between two processes`);
  await withCompiled("memcpy.c", async (program) => {
    for (const piece of PIECES) {
      const total = Math.min(TOTAL, piece * 500_000);
      let [ring, memcpy] = [0, 0];
      for (let run = 0; run < RUNS; run++) {
        ring = Math.max(ring, await measure(piece, total));
        memcpy = Math.max(
          memcpy,
          (await outputOf<{ gbps: number }>([program, String(piece), String(CAPACITY), String(total)])).gbps,
        );
      }
      console.log(
        `pieces of ${String(piece / 1024).padStart(3)} KiB   ring ${ring.toFixed(2)} GB/s   memcpy in C ${memcpy.toFixed(2)} GB/s   ${((100 * ring) / memcpy).toFixed(0)} %`,
      );
    }
  });
}

async function measure(piece: number, total: number): Promise<number> {
  const ring = Ring.create(benchName("ring"), CAPACITY);
  try {
    const child = Bun.spawn(
      [process.execPath, import.meta.path, "write", benchName("ring"), String(piece), String(total)],
      { stdout: "inherit", stderr: "inherit" },
    );
    const reader = ring.reader();
    const into = new Uint8Array(new ArrayBuffer(piece));
    let read = reader.read(into, { timeoutMs: 10_000 }) ?? 0; // from here on both run
    const start = Bun.nanoseconds();
    const before = read;
    for (;;) {
      const length = reader.read(into, { timeoutMs: 10_000 });
      if (length === undefined) throw new Error("nothing within 10 s");
      if (length === 0) break;
      read += length;
    }
    const seconds = (Bun.nanoseconds() - start) / 1e9;
    if (read !== total) throw new Error(`${read} bytes came of ${total}`);
    await child.exited;
    return (read - before) / seconds / 1e9;
  } finally {
    ring.unlink();
    ring.close();
  }
}

function write(name: string, piece: number, total: number): void {
  using ring = Ring.open(objectName(name));
  const writer = ring.writer();
  const bytes = new Uint8Array(new ArrayBuffer(piece)).fill(7);
  for (let sent = 0; sent < total; sent += piece) writer.write(bytes, { timeoutMs: 10_000 });
}
