import { mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { CAN_MOUNT } from "../support/ordinary-user.ts";

/** Where the chaos happens: a small /dev/shm and a small disk of its own where that can be had, else the machine's. */
export interface Arena extends AsyncDisposable {
  /** What stands before a command that is to run in it. */
  readonly wrap: readonly string[];
  /** Its /dev/shm, seen from here. */
  readonly sharedMemory: string;
  /** The directory that was asked for, seen from here. */
  readonly disk: string;
  /** Both are small enough to be filled, and nobody else's. */
  readonly isOwn: boolean;
}

/** @param disk A directory for the store. */
export async function openArena(disk: string, sizes: { sharedMemory: string; disk: string }): Promise<Arena> {
  mkdirSync(disk, { recursive: true });
  const removeDisk = () => rmSync(disk, { recursive: true, force: true });
  if (!CAN_MOUNT) {
    return { wrap: [], sharedMemory: "/dev/shm", disk, isOwn: false, [Symbol.asyncDispose]: async () => removeDisk() };
  }
  const script = `mount -t tmpfs -o size=${sizes.sharedMemory} tmpfs /dev/shm && mount -t tmpfs -o size=${sizes.disk} tmpfs "$1" && echo made && exec sleep 2147483647`;
  const holder = Bun.spawn(["unshare", "--mount", "sh", "-c", script, "sh", disk], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const { value } = await holder.stdout.getReader().read();
  if (new TextDecoder().decode(value).trim() !== "made") throw new Error("Cannot make a mount namespace");
  const root = `/proc/${holder.pid}/root`;
  return {
    wrap: ["nsenter", "--target", String(holder.pid), "--mount"],
    sharedMemory: `${root}/dev/shm`,
    disk: join(root, disk),
    isOwn: true,
    async [Symbol.asyncDispose]() {
      holder.kill("SIGKILL");
      await holder.exited;
      removeDisk();
    },
  };
}

/** The objects of a channel in that /dev/shm. */
export function objectsIn(arena: Arena, channel: string): string[] {
  return readdirSync(arena.sharedMemory).filter((name) => name.includes(`webproxy.${channel}.`));
}
