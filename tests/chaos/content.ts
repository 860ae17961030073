import { someBytes } from "../support/bytes.ts";

/** What all bodies are cut from, at places of their own. Its length is a multiple of nothing that the product cuts bodies into. */
const BYTES = someBytes(4 * 1024 * 1024 + 12_347, 2026);

/** How many versions a resource has, one after the other and then again. */
export const VERSIONS = 4;

/** 1 B to 16 MiB, and nothing at all; around the sizes at which the product changes its ways. */
export const SIZES = [
  ...[0, 1, 2, 17, 300, 1_024, 4_096, 8_191, 65_535, 65_536, 70_000],
  ...[262_144, 300_001, 1_048_576, 5_000_000, 16 * 1_048_576],
];

/** The path of resource `number` among those of `size` bytes. */
export function pathOf(size: number, number: number | string): string {
  return `/c/${size}/${number}`;
}

export function sizeOf(path: string): number {
  return Number(path.split("/")[2]);
}

function startOf(path: string, version: number): number {
  return Bun.hash.xxHash32(`${path}\n${version}`) % BYTES.length;
}

/** The body of `path` in `version`, in the pieces that it is cut from. */
export function* piecesOf(path: string, version: number): Generator<Uint8Array<ArrayBuffer>> {
  let at = startOf(path, version);
  for (let left = sizeOf(path); left > 0; ) {
    const piece = BYTES.subarray(at, Math.min(at + left, BYTES.length));
    yield piece as Uint8Array<ArrayBuffer>;
    left -= piece.length;
    at = 0;
  }
}

let endless: Uint8Array<ArrayBuffer> | undefined;

/** The same as one piece, which is not made for it: whoever answers with it has nothing to copy. */
export function bodyOf(path: string, version: number): Uint8Array<ArrayBuffer> {
  if (endless === undefined) {
    endless = new Uint8Array(BYTES.length + Math.max(...SIZES));
    for (let at = 0; at < endless.length; at += BYTES.length) endless.set(BYTES.subarray(0, endless.length - at), at);
  }
  const start = startOf(path, version);
  return endless.subarray(start, start + sizeOf(path));
}

/** Compares a body with what it must be, as it comes: all of it of one version. */
export class BodyCheck {
  readonly #path: string;
  #candidates: number[];
  #at: number;

  /** @param from The first byte that comes; `version` is undefined where the wire does not say it: then it must be one of all. */
  constructor(path: string, from: number, version: number | undefined) {
    this.#path = path;
    this.#at = from;
    this.#candidates = version === undefined ? Array.from({ length: VERSIONS }, (_, one) => one) : [version];
  }

  /** False when these bytes, after those before, are of no version. */
  take(chunk: Uint8Array): boolean {
    this.#candidates = this.#candidates.filter((version) => this.#isOf(version, chunk));
    this.#at += chunk.length;
    return this.#candidates.length > 0;
  }

  #isOf(version: number, chunk: Uint8Array): boolean {
    let at = (startOf(this.#path, version) + this.#at) % BYTES.length;
    for (let compared = 0; compared < chunk.length; ) {
      const piece = BYTES.subarray(at, at + chunk.length - compared);
      if (Buffer.compare(piece, chunk.subarray(compared, compared + piece.length)) !== 0) return false;
      compared += piece.length;
      at = (at + piece.length) % BYTES.length;
    }
    return true;
  }
}
