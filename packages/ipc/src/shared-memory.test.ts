import { expect, test } from "bun:test";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { testName } from "../test/names.ts";
import { Doorbell } from "./doorbell.ts";
import { ExclusiveLock } from "./exclusive-lock.ts";
import { pathOf } from "./object-name.ts";
import { SharedMemory } from "./shared-memory.ts";

test("SharedMemory.create() and open() see each other's bytes", () => {
  const name = testName();
  using one = SharedMemory.create(name, 10_000);
  try {
    using two = SharedMemory.open(name);
    expect(two.length).toBe(10_000);
    expect(two.bytes.every((byte) => byte === 0)).toBe(true);
    one.bytes[9_999] = 7;
    one.f64[0] = Math.PI;
    expect(two.bytes[9_999]).toBe(7);
    expect(two.f64[0]).toBe(Math.PI);
    expect(Atomics.add(two.i32, 5, 3)).toBe(0);
    expect(Atomics.load(one.i32, 5)).toBe(3);
  } finally {
    one.unlink();
  }
  expect(existsSync(pathOf(name))).toBe(false);
});

test("SharedMemory.create() refuses a taken name and leaves the object alone", () => {
  const name = testName();
  using memory = SharedMemory.create(name, 8);
  try {
    expect(() => SharedMemory.create(name, 8)).toThrow(
      expect.objectContaining({ code: "EEXIST", syscall: "shm_open" }),
    );
    expect(existsSync(pathOf(name))).toBe(true);
  } finally {
    memory.unlink();
  }
});

test("SharedMemory.create() refuses lengths that can not be mapped", () => {
  const name = testName();
  for (const length of [0, -1, 1.5, Number.NaN, 2 ** 32 + 1]) {
    expect(() => SharedMemory.create(name, length)).toThrow(RangeError);
  }
  expect(existsSync(pathOf(name))).toBe(false);
});

test("SharedMemory.create() that is refused its bytes leaves nothing", async () => {
  const name = testName();
  const source = new URL("./index.ts", import.meta.url).pathname;
  const script = `
    import { SharedMemory, objectName } from ${JSON.stringify(source)};
    try { SharedMemory.create(objectName(${JSON.stringify(name)}), 1 << 20) } catch (error) { console.log(error.syscall, error.code) }
  `;
  // A limit on file sizes is the refusal that any user on any machine can arrange; a full /dev/shm takes the same way.
  const child = Bun.spawn(["sh", "-c", 'ulimit -f 8; exec "$0" -e "$1"', process.execPath, script], {
    stderr: "inherit",
  });
  expect(await new Response(child.stdout).text()).toBe("posix_fallocate EFBIG\n");
  expect(existsSync(pathOf(name))).toBe(false);
});

test("SharedMemory.open() refuses what is not sized yet and what is not shared memory, and does not block on a FIFO", () => {
  const name = testName();
  writeFileSync(pathOf(name), "");
  try {
    expect(() => SharedMemory.open(name)).toThrow(expect.objectContaining({ syscall: "mmap", code: "EINVAL" }));
  } finally {
    SharedMemory.unlink(name);
  }
  using flag = SharedMemory.anonymous(4);
  using bell = Doorbell.listen({ name, flag: { memory: flag, offset: 0 } });
  expect(() => SharedMemory.open(name, { readOnly: true })).toThrow(expect.objectContaining({ code: "EACCES" }));
  expect(() => ExclusiveLock.tryAcquire(name)).toThrow(expect.objectContaining({ code: "EACCES" }));
  bell.close();
});

test("SharedMemory.open() throws ENOENT once unlinked; the mapping stays", () => {
  const name = testName();
  using memory = SharedMemory.create(name, 8);
  memory.unlink();
  memory.unlink();
  expect(SharedMemory.unlink(name)).toBe(false);
  expect(() => SharedMemory.open(name)).toThrow(expect.objectContaining({ code: "ENOENT" }));
  memory.bytes[0] = 1;
  expect(memory.bytes[0]).toBe(1);
});

test("SharedMemory.close() unmaps, empties kept views and makes getters throw", () => {
  const name = testName();
  const memory = SharedMemory.create(name, 4096);
  const { bytes, i32 } = memory;
  expect(readFileSync("/proc/self/maps", "utf8")).toContain(name);
  memory.unlink();
  memory.close();
  memory.close();
  expect(readFileSync("/proc/self/maps", "utf8")).not.toContain(name);
  expect(bytes.length).toBe(0);
  expect(bytes[0]).toBeUndefined();
  expect(() => Atomics.load(i32, 0)).toThrow(TypeError);
  for (const getter of ["bytes", "i32", "f64", "buffer"] as const)
    expect(() => memory[getter]).toThrow("has been closed");
});

test("SharedMemory that is dropped without close is unmapped by the collector", async () => {
  const name = testName();
  const open = (): number => {
    const memory = SharedMemory.create(name, 4096);
    memory.unlink();
    return memory.bytes.length;
  };
  open();
  for (let i = 0; i < 100 && readFileSync("/proc/self/maps", "utf8").includes(name); i++) {
    Bun.gc(true);
    await Bun.sleep(10);
  }
  expect(readFileSync("/proc/self/maps", "utf8")).not.toContain(name);
});

test("SharedMemory.anonymous() travels by descriptor and can be sealed", async () => {
  using memory = SharedMemory.anonymous(4096);
  memory.bytes.set(new TextEncoder().encode("sealed"));
  const before = memory.bytes;
  memory.seal();
  expect(before.length).toBe(0);
  expect(memory.readOnly).toBe(true);
  const child = Bun.spawn([process.execPath, "-e", CHILD], { stdio: ["ignore", "pipe", "inherit", memory.fildes!] });
  expect(await new Response(child.stdout as ReadableStream).text()).toBe("sealed EPERM\n");
  expect(await child.exited).toBe(0);
});

const CHILD = `
  import { SharedMemory } from ${JSON.stringify(new URL("./shared-memory.ts", import.meta.url).pathname)};
  let code = "none";
  try { SharedMemory.fromDescriptor(3) } catch (error) { code = error.code }
  using memory = SharedMemory.fromDescriptor(3, { readOnly: true });
  console.log(new TextDecoder().decode(memory.bytes.subarray(0, 6)), code);
`;

test("SharedMemory.seal() refuses named memory, and anonymous memory that somebody else can write", () => {
  const name = testName();
  using named = SharedMemory.create(name, 8);
  try {
    expect(() => named.seal()).toThrow(expect.objectContaining({ code: "EINVAL" }));
  } finally {
    named.unlink();
  }
});

test("SharedMemory does not leak descriptors or mappings over 2,000 lives", () => {
  const name = testName();
  const mappings = (): number => readFileSync("/proc/self/maps", "utf8").split("\n").length;
  const before = mappings();
  for (let life = 0; life < 2_000; life++) {
    using memory = SharedMemory.create(name, 4096);
    memory.bytes[0] = life & 255;
    memory.unlink();
  }
  expect(mappings()).toBeLessThan(before + 200);
});
