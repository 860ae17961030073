import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const PROGRAM = join(import.meta.dir, "thread-fault.py");

/** The kernel's id of the thread of that name (`proxy 0`, `cache 1`) in a process. */
export function threadOf(pid: number, name: string): number {
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    if (readFileSync(`/proc/${pid}/task/${thread}/comm`, "utf8").trim() === name) return Number(thread);
  }
  throw new Error(`Process ${pid} has no thread "${name}"`);
}

/** Ends one thread of a process in the middle of whatever it does, without its program being told. */
export function endThread(pid: number, name: string): Promise<void> {
  return change("end", pid, name);
}

/** Has one thread of a process compute without end. */
export function spinThread(pid: number, name: string): Promise<void> {
  return change("spin", pid, name);
}

/** Has one thread of a process wait without end in a system call. */
export function blockThread(pid: number, name: string): Promise<void> {
  return change("block", pid, name);
}

async function change(how: "end" | "spin" | "block", pid: number, name: string): Promise<void> {
  const child = run(how, pid, name);
  const said = (await new Response(child.stdout).text()).trim();
  if (said !== "done")
    throw new Error(`Cannot ${how} thread "${name}" of ${pid}: ${await new Response(child.stderr).text()}`);
}

/** Holds one thread of a process until the result is disposed: it hangs, the others go on. */
export async function holdThread(pid: number, name: string): Promise<AsyncDisposable> {
  const child = run("hold", pid, name);
  const { value } = await child.stdout.getReader().read();
  if (new TextDecoder().decode(value).trim() !== "held") {
    child.kill("SIGKILL");
    throw new Error(`Cannot hold thread "${name}" of ${pid}: ${await new Response(child.stderr).text()}`);
  }
  return {
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL"); // the kernel detaches it: the thread goes on, if its process still is
      await child.exited;
    },
  };
}

function run(how: "end" | "hold" | "spin" | "block", pid: number, name: string) {
  return Bun.spawn(["python3", PROGRAM, how, String(pid), String(threadOf(pid, name))], {
    stdio: ["ignore", "pipe", "pipe"],
  });
}
