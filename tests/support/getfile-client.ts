import type { Address } from "./address.ts";
import type { ClientBehaviour, ClientResult } from "./client-result.ts";
import { exchange, type ParsedHead } from "./exchange.ts";

/** A GETFILE client written from the protocol's text, not from our parser. Waits for the server's end, so that a byte too many is seen. */
export function getfile(
  address: Address,
  path: string,
  options: ClientBehaviour & { wire?: "crlf" | "pr3" } = {},
): Promise<ClientResult> {
  return getfileRaw(address, `GETFILE GET ${path}\r\n\r\n`, options);
}

/** The same with a request of the test's own making. */
export function getfileRaw(
  address: Address,
  request: string,
  options: ClientBehaviour & { wire?: "crlf" | "pr3" } = {},
): Promise<ClientResult> {
  const parseHead = options.wire === "pr3" ? parsePr3Head : parseCrlfHead;
  return exchange(address, { request, parseHead }, options);
}

const REFUSAL = /^GETFILE (FILE_NOT_FOUND|ERROR|INVALID) ?\r\n\r\n/;

function parseCrlfHead(received: string): ParsedHead | undefined {
  const ok = /^GETFILE OK (\d{1,20}) ?\r\n\r\n/.exec(received);
  if (ok !== null) return { status: "OK", headBytes: ok[0].length, length: Number(ok[1]) };
  return refusal(received);
}

/** One blank after the length, then the body at once; an empty file looks the same on both wires. */
function parsePr3Head(received: string): ParsedHead | undefined {
  const empty = /^GETFILE OK 0 \r\n\r\n/.exec(received);
  if (empty !== null) return { status: "OK", headBytes: empty[0].length, length: 0 };
  const ok = /^GETFILE OK ([1-9]\d{0,19}) /.exec(received);
  if (ok !== null) return { status: "OK", headBytes: ok[0].length, length: Number(ok[1]) };
  return refusal(received);
}

function refusal(received: string): ParsedHead | undefined {
  const refused = REFUSAL.exec(received);
  return refused === null ? undefined : { status: refused[1]!, headBytes: refused[0].length, length: 0 };
}
