import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { FILE_SYSTEM, type FileSystem } from "./file-system.ts";

/** What has been done to a file, as far as it has not been forced to the medium. */
type Write = { readonly position: number; readonly bytes: Uint8Array } | { readonly truncatedTo: number };

interface Inode {
  /** What the medium has of it. */
  durable: Uint8Array;
  unforced: Write[];
}

/** A name that was given or taken away, and the directories in which that shows. */
interface NameChange {
  readonly directories: readonly string[];
  readonly path: string;
  /** undefined: the name is gone. */
  readonly inode: Inode | undefined;
}

/**
 * For tests: the real file system, with a record of what has been forced to the medium. {@link cut} makes the directory that a power cut would leave: all that was
 * forced, and of the rest anything, in any order, as POSIX allows: names without their files' bytes, bytes in parts, renames without the unlinks before them.
 */
export class PowerCutFileSystem implements FileSystem {
  readonly #root: string;
  readonly #random: () => number;
  readonly #byFildes = new Map<number, Inode>();
  readonly #names = new Map<string, Inode>();
  readonly #durableNames = new Map<string, Inode>();
  #changes: NameChange[] = [];

  /** @param random From 0 to 1. */
  constructor(root: string, random: () => number) {
    this.#root = root;
    this.#random = random;
  }

  create(path: string): number {
    const fildes = FILE_SYSTEM.create(path);
    const inode: Inode = { durable: new Uint8Array(0), unforced: [] };
    this.#byFildes.set(fildes, inode);
    this.#change(path, inode, [dirname(path)]);
    return fildes;
  }
  open(path: string): number {
    const fildes = FILE_SYSTEM.open(path);
    this.#byFildes.set(fildes, this.#names.get(path)!);
    return fildes;
  }
  openAtHand(path: string): number {
    return this.open(path);
  }
  async openLater(path: string): Promise<number> {
    return this.open(path);
  }
  openForWriting(path: string): number {
    const fildes = FILE_SYSTEM.openForWriting(path);
    this.#byFildes.set(fildes, this.#names.get(path)!);
    return fildes;
  }
  close(fildes: number): void {
    this.#byFildes.delete(fildes);
    FILE_SYSTEM.close(fildes);
  }
  write(fildes: number, bytes: Uint8Array, position: number): void {
    FILE_SYSTEM.write(fildes, bytes, position);
    this.#byFildes.get(fildes)!.unforced.push({ position, bytes: bytes.slice() });
  }
  truncate(fildes: number, length: number): void {
    FILE_SYSTEM.truncate(fildes, length);
    this.#byFildes.get(fildes)!.unforced.push({ truncatedTo: length });
  }
  rename(from: string, to: string): void {
    FILE_SYSTEM.rename(from, to);
    const inode = this.#names.get(from)!;
    const directories = [dirname(from), dirname(to)];
    this.#change(from, undefined, directories);
    this.#change(to, inode, directories);
  }
  unlink(path: string): void {
    FILE_SYSTEM.unlink(path);
    this.#change(path, undefined, [dirname(path)]);
  }
  async sync(fildes: number): Promise<void> {
    const inode = this.#byFildes.get(fildes)!;
    await Promise.resolve(); // it takes its time: what is written meanwhile need not be in it
    inode.durable = inode.unforced.reduce(withWrite, inode.durable);
    inode.unforced = [];
  }
  async syncDirectory(path: string): Promise<void> {
    await Promise.resolve();
    const isHere = ({ directories }: NameChange) => directories.includes(path);
    for (const change of this.#changes.filter(isHere)) applyTo(this.#durableNames, change);
    this.#changes = this.#changes.filter((change) => !isHere(change));
  }
  makeDirectory = FILE_SYSTEM.makeDirectory;
  read = FILE_SYSTEM.read;
  readAtHand = FILE_SYSTEM.readAtHand;
  readLater = FILE_SYSTEM.readLater;
  list = FILE_SYSTEM.list;
  sizeOf = FILE_SYSTEM.sizeOf;
  space = FILE_SYSTEM.space;

  /** Fills the empty directory `into` with what a power cut at this moment would leave. */
  cut(into: string): void {
    const names = new Map(this.#durableNames);
    const isInOrder = this.#random() < 0.5;
    const survivors = Math.ceil(this.#most() * this.#changes.length);
    const survives = (index: number) => (isInOrder ? index < survivors : this.#random() < 0.5);
    for (const change of this.#changes.filter((_, index) => survives(index))) applyTo(names, change);
    for (const [path, { durable, unforced }] of names) {
      const share = this.#most();
      const kept = unforced
        .filter(() => this.#random() < share)
        .map((write) => (share < 1 ? this.#torn(write) : write));
      const to = join(into, relative(this.#root, path));
      mkdirSync(dirname(to), { recursive: true });
      writeFileSync(to, kept.reduce(withWrite, durable));
    }
  }

  /** A part of what was done: often all of it. */
  #most(): number {
    return this.#random() < 0.6 ? 1 : this.#random();
  }

  /** Now and then a write reaches the medium in part only. */
  #torn(write: Write): Write {
    if ("truncatedTo" in write || this.#random() < 0.8) return write;
    return {
      position: write.position,
      bytes: write.bytes.subarray(0, Math.floor(this.#random() * write.bytes.length)),
    };
  }

  #change(path: string, inode: Inode | undefined, directories: readonly string[]): void {
    const change = { path, inode, directories };
    applyTo(this.#names, change);
    this.#changes.push(change);
  }
}

function applyTo(names: Map<string, Inode>, { path, inode }: NameChange): void {
  if (inode === undefined) names.delete(path);
  else names.set(path, inode);
}

function withWrite(content: Uint8Array, write: Write): Uint8Array {
  if ("truncatedTo" in write) {
    const cut = new Uint8Array(write.truncatedTo);
    cut.set(content.subarray(0, write.truncatedTo));
    return cut;
  }
  const grown = new Uint8Array(Math.max(content.length, write.position + write.bytes.length));
  grown.set(content);
  grown.set(write.bytes, write.position);
  return grown;
}
