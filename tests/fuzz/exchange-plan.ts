import { someBytes } from "../support/bytes.ts";

/** Numbers from 0 up to 1, the same for the same seed. */
export class Dice {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0 || 1;
  }

  below(end: number): number {
    this.#state ^= this.#state << 13;
    this.#state ^= this.#state >>> 17;
    this.#state ^= this.#state << 5;
    return (this.#state >>> 0) % end;
  }

  one<T>(choices: readonly T[]): T {
    return choices[this.below(choices.length)]!;
  }

  /** True in one of `times` cases. */
  once(times: number): boolean {
    return this.below(times) === 0;
  }
}

/** What an origin says to everybody who asks for one target. */
export interface ResponsePlan {
  readonly head: string;
  readonly interims: number;
  readonly framing: "length" | "chunked" | "close";
  readonly body: Buffer;
  readonly trailers: readonly (readonly [string, string])[];
  /** It is broken off behind so many bytes of what follows the head; undefined: it is whole. */
  readonly cutAt: number | undefined;
  /** Seeds how it is cut into writes. */
  readonly pieces: number;
}

// Around the capacity of a first portion and of any other in a segment of 4 KiB, and multiples of it.
const SIZES = [0, 1, 2, 100, 3007, 3008, 3009, 3775, 3776, 3777, 4096, 6784, 7552, 7553, 20_000, 66_000, 150_000];
const HEAD_PADS = [0, 0, 0, 50, 2800, 3000, 3700, 9_000, 20_000];

export function responsePlan(dice: Dice): ResponsePlan {
  const framing = dice.one(["length", "chunked", "chunked", "close"] as const);
  const body = someBytes(Math.max(0, dice.one(SIZES) + dice.below(7) - 3), dice.below(2 ** 31));
  const pad = dice.one(HEAD_PADS);
  const lines = Array.from({ length: Math.ceil(pad / 250) }, (_, index) => `X-Pad-${index}: ${"p".repeat(235)}\r\n`);
  const trailerCount = framing === "chunked" ? dice.one([0, 0, 1, 3, 40]) : 0;
  return {
    framing,
    body,
    interims: dice.one([0, 0, 0, 1, 2]),
    head: `Cache-Control: ${dice.once(3) ? "no-store" : "max-age=600"}\r\n${lines.join("")}`,
    trailers: Array.from({ length: trailerCount }, (_, index) => [`X-T-${index}`, "t".repeat(150)] as const),
    cutAt: dice.once(8) ? dice.below(body.length + 1) : undefined,
    pieces: dice.below(2 ** 31),
  };
}

/** What stands behind the head on the wire, and whether that is all. */
export function contentOf({ framing, body, trailers, cutAt, pieces }: ResponsePlan): Buffer {
  if (framing !== "chunked") return body.subarray(0, cutAt);
  const dice = new Dice(pieces);
  const parts: Buffer[] = [];
  for (let at = 0; at < body.length; ) {
    const size = Math.min(body.length - at, 1 + dice.below(dice.one([3, 500, 8000, 200_000])));
    parts.push(Buffer.from(`${size.toString(16)}\r\n`), body.subarray(at, at + size), Buffer.from("\r\n"));
    at += size;
  }
  const lines = trailers.map(([name, value]) => `${name}: ${value}\r\n`).join("");
  parts.push(Buffer.from(`0\r\n${lines}\r\n`));
  const all = Buffer.concat(parts);
  // Before its last octet, or it would be whole.
  return cutAt === undefined ? all : all.subarray(0, Math.min(cutAt, all.length - 1));
}

export function headOf({ framing, body, head, interims }: ResponsePlan, isHead: boolean): string {
  const framed = {
    length: `Content-Length: ${body.length}\r\n`,
    chunked: "Transfer-Encoding: chunked\r\n",
    close: "Connection: close\r\n",
  }[framing];
  const before = isHead ? "" : "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n".repeat(interims);
  return `${before}HTTP/1.1 200 OK\r\n${framed}${head}\r\n`;
}

/** Whether what is cut shows as cut: a body that has a length of its own was whole before. */
export function isWhole({ framing, body, cutAt }: ResponsePlan): boolean {
  return cutAt === undefined || (framing === "length" && cutAt >= body.length);
}
