#!/usr/bin/env bun
import { parseArgs } from "node:util";
import { type CleanReport, clean, type Diagnosis, doctor, type IpcObject, list } from "../src/cleanup.ts";

const USAGE = `ipc: the POSIX IPC objects of this user (of everybody, for root)

  ipc ls       every shared memory object, queue, semaphore, FIFO, lock and pool: who made it, who holds it
  ipc doctor   what is left over, what is nearly exhausted, and the kernel's limits; exit code 1 when something is wrong
  ipc clean    removes what is provably dead: its makers have ended and no living process maps it or has it open

  --prefix P   only objects whose names begin with P, such as /my-app.
  --dry-run    (clean) says what would be removed and removes nothing
  --json       one JSON document on standard output
  --help       this text

Exit codes: 0 done, 1 problems found or failed, 2 wrong usage.
`;

interface Invocation {
  readonly command: string;
  readonly prefix: string;
  readonly json: boolean;
  readonly dryRun: boolean;
}

process.exitCode = main(process.argv.slice(2));

function main(args: string[]): number {
  const invocation = parse(args);
  if (typeof invocation === "number") return invocation;
  try {
    return run(invocation);
  } catch (error) {
    console.error(`ipc ${invocation.command}: ${error instanceof Error ? error.message : String(error)}`);
    return 1;
  }
}

/** What to do, or the exit code when that is all. */
function parse(args: string[]): Invocation | number {
  try {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: {
        prefix: { type: "string", default: "" },
        json: { type: "boolean", default: false },
        "dry-run": { type: "boolean", default: false },
        help: { type: "boolean", short: "h", default: false },
      },
    });
    if (values.help) {
      process.stdout.write(USAGE);
      return 0;
    }
    const [command, ...rest] = positionals;
    if (command === undefined || !["ls", "doctor", "clean"].includes(command) || rest.length > 0) {
      throw new Error(`Cannot do ${JSON.stringify(positionals.join(" "))}: the commands are ls, doctor and clean`);
    }
    const prefix = values.prefix === "" || values.prefix.startsWith("/") ? values.prefix : `/${values.prefix}`;
    return { command, prefix, json: values.json, dryRun: values["dry-run"] };
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}; see ipc --help`);
    return 2;
  }
}

function run({ command, prefix, json, dryRun }: Invocation): number {
  if (command === "ls") {
    const objects = list({ prefix });
    print(json ? objects : formatObjects(objects));
    return 0;
  }
  if (command === "doctor") {
    const diagnosis = doctor({ prefix });
    print(json ? diagnosis : formatDiagnosis(diagnosis));
    return diagnosis.problems.length === 0 ? 0 : 1;
  }
  const report = clean({ prefix, dryRun });
  print(json ? report : formatReport(report));
  return 0;
}

function print(output: string | object): void {
  process.stdout.write(typeof output === "string" ? output : `${JSON.stringify(output, null, 2)}\n`);
}

function formatObjects(objects: readonly IpcObject[]): string {
  if (objects.length === 0) return "no IPC objects\n";
  const rows = objects.map((object) => [
    object.state,
    object.kind,
    size(object.bytes),
    maker(object),
    visible(object.name),
    object.reason,
  ]);
  return table([["STATE", "KIND", "SIZE", "MAKER", "NAME", "WHY"], ...rows]);
}

function formatDiagnosis({ objects, limits, problems }: Diagnosis): string {
  const { messageQueues: queues, openFiles, sharedMemory, mappings } = limits;
  const allowed = queues.allowed
    .map(({ maxmsg, msgsize, queues }) => `${queues} of ${maxmsg} x ${msgsize} bytes`)
    .join(", ");
  const facts = table([
    ["objects", `${objects.length}`],
    ["queue limits", `msg_max ${queues.msgMax}, msgsize_max ${queues.msgsizeMax}, queues_max ${queues.queuesMax}`],
    ["queue memory", `${queues.bytesSoft} bytes (hard limit ${queues.bytesHard}): ${allowed}`],
    ["open files", `${openFiles.soft} (hard limit ${openFiles.hard})`],
    [
      "shared memory",
      sharedMemory === undefined
        ? "none"
        : `${size(sharedMemory.freeBytes)} free of ${size(sharedMemory.totalBytes)} in ${sharedMemory.path}`,
    ],
    ["mappings", `${mappings.max} for each process`],
  ]);
  const verdict =
    problems.length === 0 ? "nothing is wrong\n" : problems.map((problem) => `! ${visible(problem)}\n`).join("");
  return `${facts}\n${verdict}`;
}

function formatReport({ removed, kept, dryRun }: CleanReport): string {
  const lines = removed.map(
    (object) => `${dryRun ? "would remove" : "removed"} ${object.kind} ${visible(object.name)}: ${object.reason}\n`,
  );
  for (const object of kept) lines.push(`kept ${object.kind} ${visible(object.name)}: ${object.reason}\n`);
  return lines.length === 0 ? "nothing is left over\n" : lines.join("");
}

function maker({ makers, holders }: IpcObject): string {
  const last = makers.at(-1);
  const made = last === undefined ? "?" : `${last.pid} ${visible(last.program)}`;
  return holders.length === 0 ? made : `${made}, held by ${holders.join(" ")}`;
}

function table(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows
    .map(
      (row) =>
        `${row
          .map((cell, column) => cell.padEnd(widths[column]!))
          .join("  ")
          .trimEnd()}\n`,
    )
    .join("");
}

function size(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB"];
  let unit = 0;
  for (let rest = bytes; rest >= 1024 && unit < units.length - 1; rest /= 1024) unit++;
  return `${Number((bytes / 1024 ** unit).toFixed(1))} ${units[unit]}`;
}

/** A name may hold line breaks and terminal escapes: they are shown, not obeyed. */
function visible(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}]/gu, (character) => `\\u{${character.codePointAt(0)!.toString(16)}}`);
}
