import { sha256 } from "../support/bytes.ts";

/** Bodies of an origin whose resources change: what stands under a path is told by the path and the version, and can be told again from the bytes. */
export class SoakOrigin implements Disposable {
  readonly #server: Bun.Server<undefined>;
  readonly #changeEveryMs: number;
  readonly #startedMs = Date.now();
  requests = 0;

  /** @param changeEveryMs How long a version lives. It is served with a max-age of half of that to all of it, so that caches have some to keep and some to validate. */
  constructor(changeEveryMs: number) {
    this.#changeEveryMs = changeEveryMs;
    this.#server = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      fetch: (request) => {
        this.requests++;
        const { pathname, search } = new URL(request.url);
        const version = this.versionOf(pathname);
        const etag = `"${version}"`;
        const headers = {
          ETag: etag,
          "Cache-Control": `max-age=${this.#maxAgeOf(pathname)}`,
          "X-Version": String(version),
        };
        if (request.headers.get("if-none-match") === etag) return new Response(null, { status: 304, headers });
        return new Response(bodyOf(pathname + search, version), { headers });
      },
    });
  }

  get url(): string {
    return `http://127.0.0.1:${this.#server.port}`;
  }

  /** Not all paths change at once. */
  versionOf(path: string): number {
    const aheadMs = Bun.hash.xxHash32(path) % this.#changeEveryMs;
    return Math.floor((Date.now() - this.#startedMs + aheadMs) / this.#changeEveryMs);
  }

  /** Seconds. Nor do all that were stored at once become stale at once: a ratio of hits would tell of that and not of the store. */
  #maxAgeOf(path: string): number {
    const part = (Bun.hash.xxHash32(path, 1) % 1000) / 1000;
    return Math.ceil((this.#changeEveryMs * (1 + part)) / 2000);
  }

  [Symbol.dispose](): void {
    this.#server.stop(true);
  }
}

/** Sizes from 0 to some hundred KiB, most of them small: by the path alone. */
export function lengthOf(path: string): number {
  const hash = Bun.hash.xxHash32(path);
  return hash % 16 === 0 ? hash % 900_000 : hash % 16_000;
}

export function bodyOf(path: string, version: number): Uint8Array<ArrayBuffer> {
  const seed = Bun.hash.xxHash32(`${path}\n${version}`);
  const words = new Uint32Array(Math.ceil(lengthOf(path) / 4));
  let state = seed | 1;
  for (let index = 0; index < words.length; index++)
    words[index] = state = Math.imul(state ^ (state >>> 13), 0x5bd1e995) + index;
  return new Uint8Array(words.buffer).subarray(0, lengthOf(path));
}

/** Whether these bytes are what the origin had under `path` in `version`. */
export function isBodyOf(bytes: Uint8Array, path: string, version: number): boolean {
  return bytes.length === lengthOf(path) && sha256(bytes) === sha256(bodyOf(path, version));
}
