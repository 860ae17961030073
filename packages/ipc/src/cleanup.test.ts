import { afterEach, beforeEach, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { clean, doctor, type IpcObject, list } from "./cleanup.ts";
import { Doorbell, DoorbellRinger } from "./doorbell.ts";
import { ExclusiveLock } from "./exclusive-lock.ts";
import { MessageQueue } from "./message-queue.ts";
import { type ObjectName, objectName, pathOf } from "./object-name.ts";
import { readRegistry, registryDirectory, removeEntry } from "./registry.ts";
import { formatMaker, type Maker, thisProcess } from "./registry-maker.ts";
import { Semaphore } from "./semaphore.ts";
import { SharedMemory } from "./shared-memory.ts";

const INDEX = new URL("index.ts", import.meta.url).href;
const CLEANUP = new URL("cleanup.ts", import.meta.url).href;
const BIN = new URL("../bin/ipc.ts", import.meta.url).pathname;
const REGISTRY = registryDirectory(process.geteuid?.() ?? 0);
const DEAD: Maker = { ...thisProcess(), pid: 2 ** 31 - 1 };
const WATCHDOG = 30_000;

let prefix: string;
const children: Bun.Subprocess[] = [];

beforeEach(() => {
  prefix = `/test-${process.pid}-${Math.random().toString(36).slice(2)}`;
});

afterEach(async () => {
  for (const child of children.splice(0)) {
    child.kill("SIGKILL");
    await child.exited;
  }
  for (const entry of readRegistry(prefix)) removeEntry(entry);
  for (const file of readdirSync("/dev/shm")) if (file.includes(prefix.slice(1))) rmSync(`/dev/shm/${file}`);
  for (const queue of ["q", "queue", "q0", "q1", "q2"]) MessageQueue.unlink(named(queue));
});

function named(text: string): ObjectName {
  return objectName(`${prefix}.${text}`);
}

/** Another process that runs `body` and, when it has said something, goes on until it is killed. */
async function spawn(body: string): Promise<Bun.Subprocess> {
  const source = `import * as ipc from ${JSON.stringify(INDEX)}; import { clean } from ${JSON.stringify(CLEANUP)};
    const named = (text) => ipc.objectName(${JSON.stringify(prefix)} + "." + text);
    const keep = globalThis.keep = [];
    ${body}
    console.log("ready"); setInterval(() => {}, 1000);`;
  const child = Bun.spawn([process.execPath, "-e", source], { stdout: "pipe", stderr: "inherit" });
  children.push(child);
  const { value } = await child.stdout.getReader().read();
  expect(new TextDecoder().decode(value)).toContain("ready");
  return child;
}

async function kill(child: Bun.Subprocess): Promise<void> {
  child.kill("SIGKILL");
  await child.exited;
}

/**
 * An entry of a maker of our choice, as that maker would have left it. The object has to be there first: any process that
 * starts meanwhile may forget a dead maker's entry of an object that does not exist.
 */
function enter(maker: Maker, file: string): void {
  for (let tries = 1; ; tries++) {
    try {
      mkdirSync(`${REGISTRY}/${formatMaker(maker)}`, { recursive: true, mode: 0o700 });
      symlinkSync("1764000000000 victim.ts", `${REGISTRY}/${formatMaker(maker)}/${file}`);
      return;
    } catch (error) {
      // A process that starts may remove a dead maker's directory while it is still empty.
      if (tries === 100 || (error as { code?: string }).code !== "ENOENT") throw error;
    }
  }
}

function stateOf(name: ObjectName): string | undefined {
  return list({ prefix }).find((object) => object.name === name)?.state;
}

function summary(objects: readonly IpcObject[]): string[] {
  return objects.map(({ kind, name }) => `${kind} ${name.slice(prefix.length + 1)}`).sort();
}

const MAKE_ALL = `keep.push(ipc.SharedMemory.create(named("memory"), 4096), ipc.MessageQueue.create(named("queue"), { maxmsg: 2, msgsize: 8 }),
  ipc.Semaphore.create(named("semaphore"), 0), ipc.ExclusiveLock.tryAcquire(named("lock")));
  const memory = ipc.SharedMemory.anonymous(64);
  keep.push(memory, ipc.Doorbell.listen({ name: named("bell"), flag: { memory, offset: 0 } }));`;
const ALL = ["fifo bell", "lock lock", "memory memory", "queue queue", "semaphore semaphore"];

test(
  "list() knows the living maker of every kind, clean() keeps it all, and removes it all once the maker is killed",
  async () => {
    const child = await spawn(MAKE_ALL);
    const objects = list({ prefix });
    expect(summary(objects)).toEqual(ALL);
    for (const object of objects) {
      expect(object.state).toBe("alive");
      expect(object.makers.map(({ pid }) => pid)).toEqual([child.pid]);
    }
    expect(clean({ prefix })).toMatchObject({ removed: [], kept: [] });
    await kill(child);
    expect(new Set(list({ prefix }).map(({ state }) => state))).toEqual(new Set(["dead"]));
    expect(doctor({ prefix }).problems.filter((problem) => problem.includes(prefix))).toHaveLength(ALL.length);
    const dry = clean({ prefix, dryRun: true });
    expect(summary(dry.removed)).toEqual(ALL);
    expect(list({ prefix })).toHaveLength(ALL.length);
    const report = clean({ prefix });
    expect(summary(report.removed)).toEqual(ALL);
    expect(report.kept).toEqual([]);
    expect(list({ prefix })).toEqual([]);
    expect(readRegistry(prefix)).toEqual([]);
    expect(readdirSync("/dev/shm").filter((file) => file.includes(prefix.slice(1)))).toEqual([]);
    expect(() => MessageQueue.open(named("queue"))).toThrow("ENOENT");
  },
  WATCHDOG,
);

test(
  "clean() keeps what another process holds, says which one, and removes it when that one has gone",
  async () => {
    const maker = await spawn(MAKE_ALL);
    const holder = await spawn(
      `keep.push(ipc.SharedMemory.open(named("memory"), { readOnly: true }), ipc.MessageQueue.open(named("queue")), ipc.Semaphore.open(named("semaphore")));
     const memory = ipc.SharedMemory.anonymous(64);
     keep.push(memory, ipc.DoorbellRinger.open({ name: named("bell"), flag: { memory, offset: 0 } }));`,
    );
    await kill(maker);
    const first = clean({ prefix });
    expect(summary(first.removed)).toEqual(["lock lock"]);
    expect(summary(first.kept)).toEqual(ALL.filter((each) => each !== "lock lock"));
    for (const object of first.kept) expect(object).toMatchObject({ state: "held", holders: [holder.pid] });
    using memory = SharedMemory.open(named("memory"));
    expect(memory.length).toBe(4096);
    await kill(holder);
    expect(summary(clean({ prefix }).kept)).toEqual(["memory memory"]); // this process has it
    memory.close();
    expect(summary(clean({ prefix }).removed)).toEqual(["memory memory"]);
  },
  WATCHDOG,
);

test("clean() knows a pid that another process has by now, and another boot, for dead", () => {
  const self = thisProcess();
  for (const [file, maker] of [
    ["reused", { ...self, startTime: self.startTime + 1 }],
    ["reboot", { ...self, bootId: self.bootId.replace(/^./, (digit) => (digit === "0" ? "1" : "0")) }],
  ] as const) {
    SharedMemory.create(named(file), 64, { registered: false }).close();
    enter(maker, `m${named(file).slice(1)}`);
    expect(stateOf(named(file))).toBe("dead");
  }
  expect(summary(clean({ prefix }).removed)).toEqual(["memory reboot", "memory reused"]);
});

test("clean() keeps what it can not judge: other pid namespaces, unregistered objects, objects older than their entry", async () => {
  const self = thisProcess();
  enter({ ...self, pidNamespace: self.pidNamespace + 1 }, `m${named("container").slice(1)}`);
  for (const name of ["container", "foreign", "older"])
    SharedMemory.create(named(name), 64, { registered: false }).close();
  await Bun.sleep(60); // more than the grain of the file system's clock
  enter(DEAD, `m${named("older").slice(1)}`);
  const { removed, kept } = clean({ prefix });
  expect(removed).toEqual([]);
  expect(summary(kept)).toEqual(["memory container", "memory foreign", "memory older"]);
  expect(new Set(kept.map(({ state }) => state))).toEqual(new Set(["unknown"]));
});

test("clean() keeps an object of a dead maker that a living one has made anew", async () => {
  using memory = SharedMemory.create(named("memory"), 64);
  enter(DEAD, `m${named("memory").slice(1)}`);
  expect(stateOf(named("memory"))).toBe("alive");
  expect(clean({ prefix }).removed).toEqual([]);
  memory.unlink();
  expect(stateOf(named("memory"))).toBeOneOf(["gone", undefined]);
  clean({ prefix });
  expect(list({ prefix })).toEqual([]);
});

test("clean() removes an entry whose object was never made", () => {
  enter(DEAD, `q${named("q").slice(1)}`);
  expect(stateOf(named("q"))).toBeOneOf(["gone", undefined]);
  expect(clean({ prefix })).toMatchObject({ removed: [], kept: [] });
  expect(readRegistry(prefix)).toEqual([]);
  expect(existsSync(`${REGISTRY}/${formatMaker(DEAD)}`)).toBe(false);
});

test("clean() touches nothing outside its prefix", () => {
  for (const name of ["a", "b"]) {
    SharedMemory.create(named(name), 64, { registered: false }).close();
    enter(DEAD, `m${named(name).slice(1)}`);
  }
  expect(summary(clean({ prefix: `${prefix}.a` }).removed)).toEqual(["memory a"]);
  expect(stateOf(named("b"))).toBe("dead");
});

test("clean() takes a pool as one thing", () => {
  const parts = ["pool.pool", "pool.seg.0.1", "pool.bell.2"].map((part) => named(part));
  for (const part of parts) SharedMemory.create(part, 4096, { registered: false }).close();
  MessageQueue.create(named("pool.free"), { maxmsg: 2, msgsize: 8, registered: false }).close();
  enter(DEAD, `p${named("pool").slice(1)}`);
  using neighbour = SharedMemory.create(named("pool.of-another-kind"), 4096);
  const [pool, ...others] = list({ prefix }).toSorted((one) => (one.kind === "pool" ? -1 : 1));
  expect(summary(others)).toEqual(["memory pool.of-another-kind"]);
  expect(pool).toMatchObject({ kind: "pool", state: "dead", count: 4, bytes: 3 * 4096 });
  const held = SharedMemory.open(parts[1]!);
  expect(clean({ prefix }).removed).toEqual([]);
  for (const part of parts) expect(existsSync(pathOf(part))).toBe(true);
  held.close();
  expect(summary(clean({ prefix }).removed)).toEqual(["pool pool"]);
  for (const part of parts) expect(existsSync(pathOf(part))).toBe(false);
  expect(() => MessageQueue.open(named("pool.free"))).toThrow("ENOENT");
  expect(existsSync(pathOf(neighbour.name!))).toBe(true);
  neighbour.unlink();
});

test(
  "clean() judges each object of a dead process's family by itself, and keeps the family until the last has gone",
  async () => {
    const child = await spawn(
      `ipc.registerFamily(named("bodies"));
     for (const body of ["bodies.1", "bodies.2", "bodies-of-others"]) keep.push(ipc.SharedMemory.create(named(body), 64, { registered: false }));
     keep.push(ipc.Semaphore.create(named("bodies.s"), 0, { registered: false }));`,
    );
    const members = () =>
      list({ prefix })
        .map(({ kind, name, state }) => `${kind} ${name.slice(prefix.length + 1)} ${state}`)
        .toSorted();
    expect(members()).toEqual([
      "memory bodies-of-others unknown",
      "memory bodies.1 alive",
      "memory bodies.2 alive",
      "semaphore bodies.s alive",
    ]);
    using held = SharedMemory.open(named("bodies.2"));
    await kill(child);
    expect(summary(clean({ prefix }).removed)).toEqual(["memory bodies.1", "semaphore bodies.s"]);
    expect(members()).toEqual(["memory bodies-of-others unknown", "memory bodies.2 held"]);
    held.close();
    expect(summary(clean({ prefix }).removed)).toEqual(["memory bodies.2"]);
    expect(readRegistry(prefix)).toEqual([]);
    SharedMemory.unlink(named("bodies-of-others"));
  },
  WATCHDOG,
);

test("a cleaner that was killed between hiding and removing is made good by the next one", () => {
  enter(DEAD, `m${named("memory").slice(1)}`);
  const hiding = `${REGISTRY}/removing.${formatMaker(DEAD)}`;
  mkdirSync(hiding, { recursive: true });
  for (const name of ["memory", "foreign"])
    writeFileSync(`${hiding}/${named(name).slice(1)}`, "x".repeat(64), { mode: 0o600 });
  clean({ prefix: `${prefix}.nothing-of-that-name` });
  expect(existsSync(hiding)).toBe(false);
  for (const name of ["memory", "foreign"]) expect(existsSync(pathOf(named(name)))).toBe(true);
});

test(
  "what a killed cleaner had hidden keeps its entry while other processes start, and is removed by the next one",
  async () => {
    const child = await spawn(`ipc.SharedMemory.create(named("memory"), 64).close();
      ipc.Semaphore.create(named("semaphore"), 1).close();
      ipc.SegmentPool.create(named("pool"), { segments: 1, segmentBytes: 64 }).close();`);
    await kill(child);
    const hiding = `${REGISTRY}/removing.${formatMaker(DEAD)}`;
    mkdirSync(hiding, { recursive: true });
    const files = readdirSync("/dev/shm").filter((file) => file.includes(prefix.slice(1)));
    expect(files).toHaveLength(4);
    for (const file of files) renameSync(`/dev/shm/${file}`, `${hiding}/${file}`);
    MessageQueue.unlink(named("pool.free")); // nor is there anything else to be seen of the pool
    await kill(await spawn(`keep.push(ipc.SharedMemory.create(named("later"), 64));`)); // forgets what is gone
    expect(summary(clean({ prefix }).removed)).toEqual([
      "memory later",
      "memory memory",
      "pool pool",
      "semaphore semaphore",
    ]);
    expect(list({ prefix })).toEqual([]);
    expect(existsSync(hiding)).toBe(false);
  },
  WATCHDOG,
);

test(
  "many cleaners at once remove everything once, without an error",
  async () => {
    const names = Array.from({ length: 60 }, (_, index) => named(`m${index}`));
    for (const name of names) {
      enter(DEAD, `m${name.slice(1)}`);
      SharedMemory.create(name, 64, { registered: false }).close();
    }
    const cleaners = Array.from({ length: 4 }, () =>
      Bun.spawn([process.execPath, BIN, "clean", "--json", "--prefix", prefix], { stdout: "pipe", stderr: "pipe" }),
    );
    for (const cleaner of cleaners) {
      expect(await new Response(cleaner.stderr).text()).toBe("");
      expect(await cleaner.exited).toBe(0);
    }
    expect(clean({ prefix }).kept).toEqual([]);
    for (const name of names) expect(existsSync(pathOf(name))).toBe(false);
  },
  WATCHDOG,
);

test(
  "what a living process has opened while cleaners run still has its name",
  async () => {
    const names = Array.from({ length: 400 }, (_, index) => named(`m${index}`));
    for (const name of names) {
      enter(DEAD, `m${name.slice(1)}`);
      SharedMemory.create(name, 64, { registered: false }).close();
    }
    const cleaner = Bun.spawn([process.execPath, BIN, "clean", "--prefix", prefix], {
      stdout: "ignore",
      stderr: "inherit",
    });
    const opened: SharedMemory[] = [];
    // From the other end, so that the two meet in the middle.
    for (const name of names.toReversed()) {
      try {
        opened.push(SharedMemory.open(name));
      } catch (error) {
        expect((error as { code: string }).code).toBe("ENOENT");
      }
      if (opened.length % 10 === 0) await Bun.sleep(1);
    }
    await cleaner.exited;
    for (const memory of opened) {
      expect(existsSync(pathOf(memory.name!))).toBe(true);
      memory.close();
    }
    expect(opened.length).toBeGreaterThan(0);
    clean({ prefix });
    for (const name of names) expect(existsSync(pathOf(name))).toBe(false);
  },
  WATCHDOG,
);

test("a process that is killed at any moment of making and unlinking leaves nothing that clean() does not find", async () => {
  for (let round = 0; round < 25; round++) {
    const child = await spawn(
      `(async () => { await Bun.sleep(1); for (let i = 0; ; i++) {
         const memory = ipc.SharedMemory.create(named("m" + i % 3), 4096);
         const queue = ipc.MessageQueue.create(named("q" + i % 3), { maxmsg: 2, msgsize: 8 });
         const semaphore = ipc.Semaphore.create(named("s" + i % 3), 0);
         if (i % 7 === 0) await 0;
         for (const each of [memory, queue, semaphore]) { each.unlink(); each.close(); }
       } })();`,
    );
    await Bun.sleep(Math.random() * 20);
    await kill(child);
    clean({ prefix });
    expect(readRegistry(prefix)).toEqual([]);
    expect(readdirSync("/dev/shm").filter((file) => file.includes(prefix.slice(1)))).toEqual([]);
    for (const queue of ["q0", "q1", "q2"]) expect(() => MessageQueue.open(named(queue))).toThrow("ENOENT");
  }
}, 60_000);

test("closing and unlinking everything leaves no registry of this process", () => {
  const memory = SharedMemory.create(named("memory"), 64);
  const queue = MessageQueue.create(named("queue"), { maxmsg: 2, msgsize: 8 });
  const semaphore = Semaphore.create(named("semaphore"), 0);
  const lock = ExclusiveLock.tryAcquire(named("lock")) as ExclusiveLock;
  const bell = Doorbell.listen({ name: named("bell"), flag: { memory, offset: 0 } });
  const ringer = DoorbellRinger.open({ name: named("bell"), flag: { memory, offset: 0 } });
  expect(summary(list({ prefix }))).toEqual(ALL);
  expect(ExclusiveLock.tryAcquire(named("lock"))).toEqual({ heldByPid: process.pid });
  expect(summary(list({ prefix }))).toEqual(ALL); // the refused one has not taken the holder's entry with it
  ringer.close();
  bell.close();
  lock.release();
  for (const each of [memory, queue, semaphore]) {
    each.unlink();
    each.close();
  }
  expect(list({ prefix })).toEqual([]);
  expect(existsSync(`${REGISTRY}/${formatMaker(thisProcess())}`)).toBe(false);
});

async function ipc(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const child = Bun.spawn([process.execPath, BIN, ...args], { stdout: "pipe", stderr: "pipe" });
  const [out, err] = [await new Response(child.stdout).text(), await new Response(child.stderr).text()];
  return { code: await child.exited, out, err };
}

test(
  "ipc ls, doctor and clean speak JSON and text, and exit 0, 1 and 2",
  async () => {
    SharedMemory.create(named("\u001b[31m"), 64, { registered: false }).close();
    enter(DEAD, `m${named("\u001b[31m").slice(1)}`);
    const ls = await ipc("ls", "--prefix", prefix);
    expect(ls.out).toContain("dead");
    expect(ls.out).not.toContain("\u001b");
    expect(JSON.parse((await ipc("ls", "--json", "--prefix", prefix.slice(1))).out)).toHaveLength(1);
    const sick = await ipc("doctor", "--prefix", prefix);
    expect(sick.code).toBe(1);
    expect(sick.out).toContain("is left over");
    expect((await ipc("clean", "--dry-run", "--prefix", prefix)).out).toContain("would remove memory");
    const cleaned = await ipc("clean", "--json", "--prefix", prefix);
    expect(JSON.parse(cleaned.out)).toMatchObject({
      dryRun: false,
      kept: [],
      removed: [{ kind: "memory", state: "dead" }],
    });
    expect(await ipc("clean", "--prefix", prefix)).toMatchObject({ code: 0, out: "nothing is left over\n" });
    expect((await ipc("--help")).code).toBe(0);
    for (const wrong of [[], ["frob"], ["ls", "extra"], ["ls", "--nonsense"]]) {
      expect(await ipc(...wrong)).toMatchObject({ code: 2, out: "" });
    }
  },
  WATCHDOG,
);
