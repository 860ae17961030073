/**
 * Every question that `bench/` answers, by name.
 *
 *   bun run bench              the names, and what each asks
 *   bun run bench NAME [...]   one of them, with its own options
 *   bun run bench all          one after another: an hour on two cores
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";

/** Program and options of each question; most are a file of their name. */
const QUESTIONS: Readonly<Record<string, readonly string[]>> = {
  "hit-1k": ["hit.ts", "--sizes", "1024"],
  "hit-64k": ["hit.ts", "--sizes", "65536"],
  "hit-1m": ["hit.ts", "--sizes", "1048576"],
  "channel-hit": ["hit.ts", "--sizes", "1024,1048576", "--", "--hot", "0"],
  "pass-through": ["pass-through.ts"],
  observed: ["observed.ts"],
  miss: ["miss.ts"],
  getfile: ["getfile.ts"],
  ready: ["ready.ts"],
  gap: ["gap.ts"],
  idle: ["idle.ts"],
  "idle-connections": ["idle-connections.ts"],
  million: ["million.ts"],
  silences: ["silences.ts"],
  eviction: ["eviction.ts"],
  endurance: ["endurance.ts"],
  "ipc-there-and-back": ["ipc/there-and-back.ts"],
  "ipc-async-wait": ["ipc/async-wait.ts"],
  "ipc-pool": ["ipc/pool.ts"],
  "ipc-ring": ["ipc/ring.ts"],
};

const [name, ...more] = process.argv.slice(2);
if (name === undefined) list();
else if (name === "all") for (const one of Object.keys(QUESTIONS)) await run(one, []);
else process.exit(await run(name, more));

function list(): void {
  const width = Math.max(...Object.keys(QUESTIONS).map((one) => one.length));
  for (const [one, [file]] of Object.entries(QUESTIONS)) console.log(`${one.padEnd(width)}  ${questionOf(file!)}`);
}

/** The first sentence that the file says of itself. */
function questionOf(file: string): string {
  const text = readFileSync(join(import.meta.dir, file), "utf8").replace(/\n \* ?/g, " ");
  return /\/\*\*\s*(.*?[?.:])\s/s.exec(text)?.[1] ?? "";
}

async function run(question: string, options: readonly string[]): Promise<number> {
  const words = QUESTIONS[question];
  if (words === undefined) {
    console.error(`Cannot measure "${question}": there is no such question; \`bun run bench\` lists them`);
    return 2;
  }
  const [file, ...own] = words;
  console.log(`# ${question}: ${questionOf(file!)}`);
  const command = [process.execPath, join(import.meta.dir, file!), ...joined(own, options)];
  return await Bun.spawn(command, { stdio: ["ignore", "inherit", "inherit"] }).exited;
}

/** Behind `--` stands what is webproxy's, in what the question says itself and in what is given. */
function joined(own: readonly string[], given: readonly string[]): string[] {
  const [ours, theirs] = [own, given].map((words) => {
    const cut = words.includes("--") ? words.indexOf("--") : words.length;
    return { before: words.slice(0, cut), behind: words.slice(cut + 1) };
  });
  const behind = [...ours!.behind, ...theirs!.behind];
  return [...ours!.before, ...theirs!.before, ...(behind.length > 0 ? ["--", ...behind] : [])];
}
