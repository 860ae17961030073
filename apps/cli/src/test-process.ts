import { list } from "@proj/ipc";

const MAIN = new URL("main.ts", import.meta.url).pathname;

/** A `webproxy` that runs, its first line of standard output read. */
export interface RunningCommand {
  readonly pid: number;
  readonly readyLine: string;
  /** `http`, `getfile` and `admin` of the ready line, as `ADDR:PORT`. */
  readonly addresses: Readonly<Record<string, string>>;
  signal(signal: NodeJS.Signals): void;
  /** Resolves when it has ended. */
  ended(): Promise<{ exitCode: number | null; stderr: string }>;
}

/** A channel name that no other run of the tests has. */
export function ownChannel(): string {
  return `test-${process.pid}-${Math.random().toString(36).slice(2)}`;
}

/** Starts `webproxy` with these arguments and waits for its ready line; without one, for its end, and throws what it said. */
export async function startCommand(
  args: readonly string[],
  environment: Record<string, string> = {},
): Promise<RunningCommand> {
  const child = spawn(args, environment);
  const stderr = new Response(child.stderr).text();
  const { value } = await child.stdout.getReader().read();
  const readyLine = new TextDecoder().decode(value).split("\n")[0] ?? "";
  if (readyLine === "") throw new Error(`exit code ${await child.exited}: ${await stderr}`);
  return {
    pid: child.pid,
    readyLine,
    addresses: Object.fromEntries(
      [...readyLine.matchAll(/(\w+)=(\S+:\d+)/g)].map(([, name, address]) => [name!, address!]),
    ),
    signal: (signal) => child.kill(signal),
    ended: async () => ({ exitCode: await child.exited, stderr: withoutRootWarning(await stderr) }),
  };
}

/** Runs `webproxy` to its end. */
export async function runCommand(args: readonly string[], environment: Record<string, string> = {}) {
  const child = spawn(args, environment);
  const [stdout, stderr, exitCode] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { exitCode, stdout, stderr };
}

function spawn(args: readonly string[], environment: Record<string, string>) {
  return Bun.spawn([process.execPath, MAIN, ...args], {
    env: { ...process.env, ...environment },
    stdout: "pipe",
    stderr: "pipe",
  });
}

/** What there is of a channel in /dev/shm and among the message queues, by kind and name. */
export function objectsOf(channel: string): string[] {
  return list({ prefix: `/webproxy.${channel}.` }).map(({ kind, name, state }) => `${kind} ${name} ${state}`);
}

/** Waits until the condition holds; the test's own time-out is the watchdog. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await Bun.sleep(10);
}

/** What a process has said, whether the tests run as root or not. */
export function withoutRootWarning(stderr: string): string {
  return stderr.replace(/^.*running as root: .*\n/m, "");
}
