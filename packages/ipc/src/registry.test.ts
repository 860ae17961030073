import { afterEach, expect, test } from "bun:test";
import { lstatSync, mkdirSync, rmSync, symlinkSync } from "node:fs";
import { type ObjectName, objectName } from "./object-name.ts";
import { readRegistry, recordCreation, recorded, recordRemoval, registryDirectory, removeEntry } from "./registry.ts";
import { formatMaker, makerState, parseMaker, startTimeOf, thisProcess } from "./registry-maker.ts";

const PREFIX = `/test-${process.pid}-${Math.random().toString(36).slice(2)}`;
const uid = process.geteuid?.() ?? 0;
const NO_PID = 2 ** 31 - 1;

function named(text: string): ObjectName {
  return objectName(`${PREFIX}.${text}`);
}

/** A maker that nobody can judge: what a dead one has entered may be forgotten by any process that starts meanwhile. */
const OTHER = formatMaker({ ...thisProcess(), pidNamespace: thisProcess().pidNamespace + 1 });

/** An entry as another process leaves it. */
function entryOf(maker: string, file: string): string {
  const directory = `${registryDirectory(uid)}/${maker}`;
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  symlinkSync("1764000000000 victim.ts", `${directory}/${file}`);
  return directory;
}

afterEach(() => {
  for (const entry of readRegistry(PREFIX)) removeEntry(entry);
});

test("recordCreation() is found by readRegistry() until recordRemoval()", () => {
  const name = named("a");
  expect(recordCreation("queue", name)).toBe(true);
  const [entry, ...others] = readRegistry(PREFIX);
  expect(others).toEqual([]);
  expect(entry).toMatchObject({ kind: "queue", name, maker: thisProcess(), uid });
  expect(Math.abs((entry?.madeAtMs ?? 0) - Date.now())).toBeLessThan(60_000);
  recordRemoval("queue", name);
  expect(readRegistry(PREFIX)).toEqual([]);
});

test("recordCreation() keeps one entry for each kind of a name", () => {
  expect(recordCreation("queue", named("a"))).toBe(true);
  expect(recordCreation("memory", named("a"))).toBe(true);
  expect(recordCreation("memory", named("a"))).toBe(false);
  expect(
    readRegistry(PREFIX)
      .map((entry) => entry.kind)
      .sort(),
  ).toEqual(["memory", "queue"]);
});

test("recordCreation() holds the longest name there is", () => {
  const name = objectName(PREFIX.padEnd(255, "x"));
  expect(recordCreation("memory", name)).toBe(true);
  expect(readRegistry(name).map((entry) => entry.name)).toEqual([name]);
});

test("recorded() removes its entry when the object can not be made, but never an earlier one", () => {
  const name = named("a");
  const fail = () => {
    throw new Error("EEXIST");
  };
  expect(() => recorded("memory", name, fail)).toThrow("EEXIST");
  expect(readRegistry(PREFIX)).toEqual([]);
  expect(recorded("memory", name, () => 7)).toBe(7);
  expect(() => recorded("memory", name, fail)).toThrow("EEXIST");
  expect(readRegistry(PREFIX)).toHaveLength(1);
});

test("recordRemoval() removes the entry of an object that another process made", () => {
  const directory = entryOf(OTHER, `m${named("a").slice(1)}`);
  expect(readRegistry(PREFIX)).toHaveLength(1);
  recordRemoval("memory", named("a"));
  expect(readRegistry(PREFIX)).toEqual([]);
  expect(() => lstatSync(directory)).toThrow("ENOENT");
});

test("recordRemoval() of a lock leaves the entry of the next holder, who has taken it meanwhile", () => {
  const name = named("lock");
  entryOf(OTHER, `l${name.slice(1)}`);
  entryOf(formatMaker({ ...thisProcess(), pid: NO_PID }), `l${name.slice(1)}`);
  recordCreation("lock", name);
  recordRemoval("lock", name);
  expect(readRegistry(PREFIX).map(({ maker }) => formatMaker(maker))).toEqual([OTHER]);
});

test("the registry's directory of a process goes with its last entry, whichever thread removes it", async () => {
  const own = `${registryDirectory(uid)}/${formatMaker(thisProcess())}`;
  const name = named("worker");
  const url = new URL("registry.ts", import.meta.url).href;
  const source = `import { recordCreation } from ${JSON.stringify(url)}; recordCreation("fifo", ${JSON.stringify(name)}); postMessage("done");`;
  const worker = new Worker(URL.createObjectURL(new Blob([source], { type: "application/javascript" })));
  try {
    await new Promise((resolve, reject) => {
      worker.onmessage = resolve;
      worker.onerror = reject;
    });
    expect(readRegistry(PREFIX).map((entry) => entry.kind)).toEqual(["fifo"]);
    recordRemoval("fifo", name);
    expect(() => lstatSync(own)).toThrow("ENOENT");
    expect(recordCreation("memory", named("again"))).toBe(true);
  } finally {
    worker.terminate();
  }
});

test("readRegistry() leaves out what is not an entry", () => {
  const directory = entryOf(OTHER, `m${named("a").slice(1)}`);
  try {
    mkdirSync(`${directory}/m${named("directory").slice(1)}`);
    symlinkSync("x", `${directory}/z${named("unknown").slice(1)}`);
    mkdirSync(`${registryDirectory(uid)}/not-a-maker`);
    expect(readRegistry(PREFIX).map((entry) => entry.name)).toEqual([named("a")]);
  } finally {
    rmSync(`${directory}/m${named("directory").slice(1)}`, { recursive: true, force: true });
    rmSync(`${directory}/z${named("unknown").slice(1)}`, { force: true });
    rmSync(`${registryDirectory(uid)}/not-a-maker`, { recursive: true, force: true });
  }
});

test("parseMaker() reads what formatMaker() writes and refuses the rest", () => {
  const maker = thisProcess();
  expect(parseMaker(formatMaker(maker))).toEqual(maker);
  for (const text of ["", "1", "0.1.1.x", `${maker.pid}.1.1`, `-1.1.1.${maker.bootId}`, `${formatMaker(maker)}.x`]) {
    expect(parseMaker(text)).toBeUndefined();
  }
});

test("makerState() is not fooled by a pid that another process has, nor by another boot or namespace", () => {
  const maker = thisProcess();
  expect(makerState(maker)).toBe("alive");
  expect(makerState({ ...maker, startTime: maker.startTime - 1 })).toBe("dead");
  expect(makerState({ ...maker, pid: NO_PID })).toBe("dead");
  expect(makerState({ ...maker, bootId: maker.bootId.replace(/^./, (digit) => (digit === "0" ? "1" : "0")) })).toBe(
    "dead",
  );
  expect(makerState({ ...maker, pidNamespace: maker.pidNamespace + 1 })).toBe("unknown");
});

test("startTimeOf() a zombie is undefined", async () => {
  // The shell starts a child that ends at once and becomes a process that never waits for it.
  const parent = Bun.spawn(["sh", "-c", "true & echo $!; exec sleep 60"], { stdout: "pipe" });
  try {
    const { value } = await parent.stdout.getReader().read();
    const pid = Number(new TextDecoder().decode(value));
    for (let tries = 0; startTimeOf(pid) !== undefined && tries < 500; tries++) await Bun.sleep(10);
    expect(startTimeOf(pid)).toBeUndefined();
    expect(startTimeOf(parent.pid)).toBeGreaterThan(0);
  } finally {
    parent.kill("SIGKILL");
    await parent.exited;
  }
});

test("what others unlinked by their own means is forgotten when the process exits, and what the dead left when one starts", async () => {
  const url = new URL("index.ts", import.meta.url).href;
  const name = named("raw");
  const source = `import { MessageQueue, objectName, SharedMemory } from ${JSON.stringify(url)}; import { rmSync } from "node:fs";
    globalThis.keep = [SharedMemory.create(objectName(${JSON.stringify(name)}), 64), SharedMemory.create(objectName(${JSON.stringify(`${name}.kept`)}), 64)];
    rmSync("/dev/shm" + ${JSON.stringify(name)});`;
  entryOf(formatMaker({ ...thisProcess(), pid: NO_PID }), `q${named("never-made").slice(1)}`);
  const child = Bun.spawn([process.execPath, "-e", source], { stderr: "inherit" });
  expect(await child.exited).toBe(0);
  expect(readRegistry(PREFIX).map((entry) => entry.name)).toEqual([`${name}.kept` as ObjectName]);
  rmSync(`/dev/shm${name}.kept`);
});
