import { randomBytes } from "node:crypto";

/** Eight random bytes as text: tells a body, an entry of the log, a process or who holds a lease from any other. */
export function newToken(): string {
  return randomBytes(8).toString("hex");
}
