import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { limitAdvice, limits, queueBytes } from "./limits.ts";

test("queueBytes() is what the kernel counts: 134 queues of 10 x 512 and 9 of 10 x 8192 fit the usual limit", () => {
  expect(Math.floor(819_200 / queueBytes({ maxmsg: 10, msgsize: 512 }))).toBe(134);
  expect(Math.floor(819_200 / queueBytes({ maxmsg: 10, msgsize: 8192 }))).toBe(9);
});

test("limits() reports what /proc says", () => {
  const now = limits();
  expect(now.messageQueues.queuesMax).toBe(Number(readFileSync("/proc/sys/fs/mqueue/queues_max", "latin1")));
  expect(now.messageQueues.bytesSoft).toBeGreaterThan(0);
  expect(now.openFiles.open).toBeGreaterThan(2);
  expect(now.openFiles.soft).toBeGreaterThanOrEqual(now.openFiles.open);
  expect(now.sharedMemory?.totalBytes).toBeGreaterThan(0);
  expect(now.sharedMemory?.freeBytes).toBeLessThanOrEqual(now.sharedMemory?.totalBytes ?? 0);
  expect(now.mappings.mapped).toBeGreaterThan(10);
});

test("limitAdvice() names the limit, its value and how to raise it", () => {
  const max = limits().messageQueues.msgMax ?? 0;
  expect(limitAdvice("open", "ELOOP")).toContain("a symbolic link has that name");
  expect(limitAdvice("mq_open", "EINVAL", { maxmsg: max + 1, msgsize: 512 })).toContain(`msg_max, which is ${max}`);
  const sizeMax = limits().messageQueues.msgsizeMax ?? 0;
  expect(limitAdvice("mq_open", "EINVAL", { maxmsg: 1, msgsize: sizeMax + 1 })).toContain(
    `msgsize_max, which is ${sizeMax}`,
  );
  expect(limitAdvice("mq_open", "EINVAL", { maxmsg: 0, msgsize: 8 })).toContain("at least 1");
  expect(limitAdvice("mq_open", "EMFILE", { maxmsg: 10, msgsize: 512 })).toMatch(
    /RLIMIT_MSGQUEUE .* takes 6080 .* ulimit -q/,
  );
  expect(limitAdvice("mq_open", "ENOSPC")).toContain("sysctl fs.mqueue.queues_max");
  expect(limitAdvice("posix_fallocate", "ENOSPC", { bytes: 4096 })).toMatch(
    /\/dev\/shm has \d+ of \d+ bytes free and 4096/,
  );
  expect(limitAdvice("shm_open", "EMFILE")).toMatch(/RLIMIT_NOFILE .* ulimit -n/);
  expect(limitAdvice("shm_open", "ENFILE")).toContain("fs.file-max");
  expect(limitAdvice("mmap", "ENOMEM")).toContain("vm.max_map_count");
  expect(limitAdvice("shm_open", "EACCES")).toContain("another user");
  expect(limitAdvice("mq_send", "EMSGSIZE", { bytes: 600, msgsize: 512 })).toContain("at most 512 bytes");
});

test("limitAdvice() says nothing about an errno that no limit explains", () => {
  expect(limitAdvice("shm_open", "ENOENT")).toBeUndefined();
  expect(limitAdvice("mq_open", "EEXIST", { maxmsg: 1, msgsize: 1 })).toBeUndefined();
});

/** What a child under `ulimit` says when it makes queues (or memory) until it is refused. */
async function refusalUnder(ulimit: string, make: string): Promise<string> {
  const index = new URL("index.ts", import.meta.url).href;
  const source = `import { MessageQueue, objectName, SharedMemory } from ${JSON.stringify(index)};
    const made = [];
    try { for (let i = 0; i < 5000; i++) made.push(${make}); } catch (error) { console.log(error.code, error.message); }
    finally { for (const each of made) { each.unlink(); each.close(); } }`;
  const command = `ulimit ${ulimit}; exec "$0" -e "$1"`;
  const child = Bun.spawn(["sh", "-c", command, process.execPath, source], { stdout: "pipe", stderr: "inherit" });
  return await new Response(child.stdout).text();
}

test("a refusal says which limit it was: RLIMIT_MSGQUEUE, RLIMIT_NOFILE", async () => {
  const name = `"/test-" + process.pid + "-" + i`;
  const queue = `MessageQueue.create(objectName(${name}), { maxmsg: 10, msgsize: 512 })`;
  expect(await refusalUnder("-n 64", queue)).toMatch(
    /^EMFILE Cannot mq_open .*RLIMIT_NOFILE allows this process 64 open files/,
  );
  // dash knows no ulimit -q: bash does, where there is one.
  if (Bun.which("bash") === null) return;
  const source = refusalUnder(`-S -n 1024; exec bash -c 'ulimit -q 20000; exec "$0" -e "$1"' "$0" "$1"`, queue);
  expect(await source).toMatch(
    /^EMFILE Cannot mq_open .*RLIMIT_MSGQUEUE allows this user 20000 bytes .* at most 3 such fit/,
  );
});
