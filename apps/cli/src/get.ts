import { connect, type Socket } from "node:net";
import { formatRequest, type GetfileResponse, GetfileResponseParser, type GetfileWire } from "@proj/protocol";
import { addressText } from "./address-text.ts";
import { type CommandError, cannotRun, errorCode, usageError } from "./command-error.ts";
import { type GetLocation, getLocation } from "./get-location.ts";
import type { Options } from "./options.ts";
import { OutputFile, StandardOutput } from "./output-file.ts";
import { ProgressBar } from "./progress-bar.ts";

/** A server that says nothing for so long has failed. */
const SILENCE_MS = 60_000;

type Output = OutputFile | StandardOutput;

/**
 * Fetches one file with GETFILE into `output` or to standard output. It is there whole or not at all.
 *
 * @param given.stop Aborts the transfer.
 * @returns The exit code, 0.
 * @throws {CommandError} Exit code 1: the server can not be reached, has no such file, or the transfer broke off.
 */
export async function runGet(given: {
  path: string;
  output: string | undefined;
  options: Options;
  stop: AbortSignal;
}): Promise<number> {
  const { options, stop } = given;
  const location = getLocation(given.path, { host: options.host, port: options.getfilePort });
  const request = requestFor(location.path);
  const output = given.output === undefined ? new StandardOutput() : new OutputFile(given.output);
  const progress = new ProgressBar(location.path, {
    isShown: process.stderr.isTTY && (given.output !== undefined || !process.stdout.isTTY),
  });
  try {
    await transfer(new Transfer(location, options.getfileWire, output, progress), request, stop);
    output.commit();
    return 0;
  } finally {
    progress.end();
    output.discard();
  }
}

function requestFor(path: string): string {
  try {
    return formatRequest(path);
  } catch (error) {
    throw usageError(error instanceof Error ? error.message : String(error));
  }
}

async function transfer(receiver: Transfer, request: string, stop: AbortSignal): Promise<void> {
  const { host, port } = receiver.location;
  const socket = connect({ host, port });
  const abort = () => socket.destroy();
  stop.addEventListener("abort", abort, { once: true });
  socket.setTimeout(SILENCE_MS, () => socket.destroy(receiver.failure(`it said nothing for ${SILENCE_MS / 1000} s`)));
  socket.write(request, "latin1");
  try {
    if (stop.aborted) abort();
    await receiveAll(socket, receiver);
  } catch (error) {
    if (error instanceof Error && error.name !== "CommandError") throw receiver.failure(connectionFault(error));
    throw error;
  } finally {
    stop.removeEventListener("abort", abort);
    socket.destroy(); // the client closes first, as soon as it has all
  }
  if (stop.aborted && !receiver.isComplete) throw receiver.failure("it was stopped");
  if (!receiver.isComplete) throw receiver.failure(receiver.shortfall);
}

async function receiveAll(socket: Socket, receiver: Transfer): Promise<void> {
  for await (const chunk of socket) {
    receiver.take(chunk);
    if (receiver.isComplete) return;
  }
}

function connectionFault(error: Error): string {
  const code = errorCode(error);
  if (code === "ECONNREFUSED") return "ECONNREFUSED; is webproxy running there? --host and --port name another place";
  return code ?? error.message;
}

/** What has come of one response so far. */
class Transfer {
  readonly location: GetLocation;
  readonly #parser: GetfileResponseParser;
  readonly #output: Output;
  readonly #progress: ProgressBar;
  #bodyBytes: number | undefined;
  #receivedBytes = 0;

  constructor(location: GetLocation, wire: GetfileWire, output: Output, progress: ProgressBar) {
    this.location = location;
    this.#parser = new GetfileResponseParser(wire);
    this.#output = output;
    this.#progress = progress;
  }

  get isComplete(): boolean {
    return this.#bodyBytes !== undefined && this.#receivedBytes === this.#bodyBytes;
  }

  get shortfall(): string {
    if (this.#bodyBytes === undefined) return "the connection ended before the response began";
    return `the connection ended after ${this.#receivedBytes} of ${this.#bodyBytes} bytes`;
  }

  take(chunk: Uint8Array): void {
    if (this.#bodyBytes !== undefined) return this.#takeBody(chunk);
    const head = this.#parser.push(chunk);
    if (head.kind === "incomplete") return;
    if (head.kind === "malformed") throw this.failure(malformedText(head.reason));
    if (head.status !== "OK") throw this.failure(head.status);
    this.#bodyBytes = head.length;
    this.#takeBody(chunk.subarray(head.bodyStart));
  }

  failure(why: string): CommandError {
    const { host, port, path } = this.location;
    return cannotRun(`Cannot get ${path} from ${addressText(host, port)}: ${why}`);
  }

  /** Bytes past the length are ignored. */
  #takeBody(chunk: Uint8Array): void {
    const total = this.#bodyBytes ?? 0;
    const bytes = chunk.subarray(0, total - this.#receivedBytes);
    this.#output.write(bytes);
    this.#receivedBytes += bytes.length;
    this.#progress.show(this.#receivedBytes, total);
  }
}

function malformedText(reason: Extract<GetfileResponse, { kind: "malformed" }>["reason"]): string {
  if (reason === "wrong-wire") return "it speaks the other wire; try --wire pr3, or --wire crlf if that was given";
  return `its response is no GETFILE response (${reason})`;
}
