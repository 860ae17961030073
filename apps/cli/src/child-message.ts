/** What a supervised process tells its supervisor, over the channel that `Bun.spawn` gives them. */
export type ChildMessage =
  /** It serves. The cache has no ports. */
  | { type: "ready"; httpPort?: number; getfilePort?: number }
  /** It ends, for a reason that a person can read. */
  | { type: "failed"; message: string };

/** The message; undefined for anything else. The channel carries JSON and its other end is our own program, perhaps another version of it. */
export function readChildMessage(value: unknown): ChildMessage | undefined {
  if (typeof value !== "object" || value === null || !("type" in value)) return undefined;
  if (value.type === "failed" && "message" in value) return { type: "failed", message: String(value.message) };
  if (value.type !== "ready") return undefined;
  const ready: ChildMessage = { type: "ready" };
  if ("httpPort" in value && typeof value.httpPort === "number") ready.httpPort = value.httpPort;
  if ("getfilePort" in value && typeof value.getfilePort === "number") ready.getfilePort = value.getfilePort;
  return ready;
}
