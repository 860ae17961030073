/**
 * The names of everything that one deployment keeps in the engine. All that belongs to one stored response, and its leases, lie in one hash slot: what
 * stands between the braces. So does the purge log.
 *
 *   NS:{HASH}:m            hash: the metadata of each variant, by a digest of the variant
 *   NS:{HASH}:BODY:N       chunk N of the body with that id
 *   NS:{HASH}:l:VARIANT    lease: who is asking the origin
 *   NS:t:TAG               set: the HASHes of responses with that tag
 *   NS:{NS.log}:s          stream: the purge log
 *   NS:{NS.log}:n          hash: what each node has applied, and when it was heard
 */
export class SharedKeys {
  readonly #namespace: string;

  /** @param deployment Two of different names never meet. */
  constructor(deployment: string) {
    this.#namespace = deployment;
  }

  /** Stands for a cache key wherever the engine names it. */
  hashOf(key: string): string {
    return digestOf(key);
  }

  /** Stands for a variant among those of its key. */
  variantOf(varyKey: string): string {
    return varyKey === "" ? "-" : digestOf(varyKey).slice(0, 16);
  }

  metadata(hash: string): string {
    return `${this.#namespace}:{${hash}}:m`;
  }

  /** What the names of a body's chunks begin with. */
  chunks(hash: string): string {
    return `${this.#namespace}:{${hash}}:`;
  }

  chunk(hash: string, body: string, index: number): string {
    return `${this.chunks(hash)}${body}:${index}`;
  }

  lease(hash: string, variant: string): string {
    return `${this.#namespace}:{${hash}}:l:${variant}`;
  }

  tag(tag: string): string {
    return `${this.#namespace}:t:${digestOf(tag)}`;
  }

  get log(): string {
    return `${this.#namespace}:{${this.#namespace}.log}:s`;
  }

  get nodes(): string {
    return `${this.#namespace}:{${this.#namespace}.log}:n`;
  }
}

/** 128 bits. What is found under it is compared with the key itself, so that a collision is a miss. */
export function digestOf(text: string): string {
  const bytes = Buffer.from(text);
  const half = (seed: bigint) => Bun.hash.xxHash3(bytes, seed).toString(16).padStart(16, "0");
  return half(0n) + half(0x9e37_79b9_7f4a_7c15n);
}
