/** A soak says on a terminal how far it is, and writes nothing but its lines where there is none. */
import { expect, test } from "bun:test";
import { join } from "node:path";
import { SoakProgress } from "../support/soak-progress.ts";

const SOAK = [process.execPath, join(import.meta.dir, "../../packages/ipc/test/soak.ts"), "--kills", "40"];

/** What is written within three redraws, and on the way out. */
async function drawn(options: { seconds?: number; part?: () => number; columns?: number; isShown: boolean }) {
  const written: string[] = [];
  let now = 0;
  {
    using _progress = new SoakProgress({
      ...options,
      label: "soak",
      counts: () => "3 kills",
      columns: () => options.columns ?? 80,
      now: () => now,
      write: (text) => written.push(text),
    });
    now = 90_000;
    await Bun.sleep(700);
  }
  return [...new Set(written)];
}

test("the line has time, total and counts", async () => {
  expect(await drawn({ seconds: 3_600, isShown: true })).toEqual([
    "\r\x1b[Ksoak [............] 2%, 1:30 of 1:00:00; 3 kills",
    "\r\x1b[K",
  ]);
  const [line] = await drawn({ part: () => 0.5, isShown: true });
  expect(line).toBe("\r\x1b[Ksoak [######......] 50%, 1:30 of about 3:00; 3 kills");
});

test("it stays one line of a narrow terminal, and ends at 100 %", async () => {
  const [line] = await drawn({ seconds: 60, columns: 30, isShown: true });
  expect(line).toBe("\r\x1b[Ksoak [############] 100%, 1:3");
});

test("nothing where it is not shown", async () => {
  expect(await drawn({ seconds: 60, isShown: false })).toEqual([]);
});

test.skipIf(Bun.which("script") === null)("a soak shows it on a terminal, and its lines stand by themselves", () => {
  const { stdout, exitCode } = Bun.spawnSync(["script", "-qec", SOAK.join(" "), "/dev/null"], { timeout: 50_000 });
  expect(exitCode).toBe(0);
  const drawn = stdout.toString().split("\r\x1b[K");
  expect(drawn[1]).toMatch(/^soak:ipc \[#*\.+\] \d+%, \d+:\d\d( of about \d+:\d\d)?; \d+ of 40 kills$/);
  expect(drawn.at(-1)).toMatch(/^\{"kills":4\d.*\}\r\n$/);
});

test("a soak writes nothing of it into a pipe", () => {
  const { stdout, stderr, exitCode } = Bun.spawnSync(SOAK, { timeout: 50_000 });
  expect([exitCode, stderr.toString()]).toEqual([0, ""]);
  expect(stdout.toString()).toMatch(/^soak: 40 kills, seed \d+\n(\d+ kills, \d+ s\n)?\{"kills":4\d.*\}\n$/);
});
