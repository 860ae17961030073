/**
 * How a stored response may leave: by whatever way is quickest (ready in the proxy's hot tier, lent as shared memory), or always the
 * long way, portion by portion through the segments. Both have to be right.
 */
export const TIERS: readonly { name: string; args: readonly string[] }[] = [
  { name: "all tiers", args: [] },
  { name: "portions only", args: ["--hot", "0", "--memory", "0"] },
];
