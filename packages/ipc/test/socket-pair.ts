import { ptr } from "bun:ffi";
import { check } from "../src/check.ts";
import { libc } from "../src/libc.ts";

const SYS_SOCKETPAIR = process.arch === "x64" ? 53 : 199;
const AF_UNIX = 1;
const SOCK_STREAM_NONBLOCK = 0o4001;

/** Descriptors of two stream sockets that are connected with each other and do not block; they are the caller's. */
export function socketPair(): [number, number] {
  const both = new Int32Array(new ArrayBuffer(8));
  const type = SOCK_STREAM_NONBLOCK as Parameters<ReturnType<typeof libc>["syscall"]>[2];
  check("socketpair", "two sockets", Number(libc().syscall(SYS_SOCKETPAIR, AF_UNIX, type, 0, ptr(both), 0, 0)));
  return [both[0]!, both[1]!];
}
