import { libc } from "../src/libc.ts";

/**
 * Makes this process kill itself (SIGKILL) just before its `fatal`-th step from now on, where a step is a call into the C
 * library or an atomic write: everything that another process can see. Infinity: it only counts.
 *
 * @returns How many steps have been taken so far.
 */
export function armCrash(fatal: number): () => number {
  let steps = 0;
  const step = (): void => {
    steps += 1;
    if (steps === fatal) process.kill(process.pid, "SIGKILL");
  };
  const functions = libc() as unknown as Record<string, (...args: unknown[]) => unknown>;
  for (const [name, call] of Object.entries(functions)) {
    if (name === "__errno_location") continue;
    functions[name] = (...args) => {
      step();
      return call(...args);
    };
  }
  const atomics = Atomics as unknown as Record<string, (...args: unknown[]) => unknown>;
  for (const name of ["store", "add", "sub", "exchange", "compareExchange"]) {
    const operation = atomics[name]!;
    atomics[name] = (...args) => {
      step();
      return operation(...args);
    };
  }
  return () => steps;
}
