import { SEGMENT_BODY_OFFSET } from "./segment-header.ts";

/**
 * What an unsafe request has changed (RFC 9111 section 4.4), written by the proxy into the body of the segment that an `invalidate` record names. It
 * starts at SEGMENT_BODY_OFFSET. The answer is a portion of no bytes: from then on nobody gets what was stored.
 *
 *   offset  bytes  field
 *        0      4  targetBytes
 *        4      4  groupBytes
 *        8      4  site            as in a request block
 *       12      n  targets         as they are in keys, a line feed behind each
 *     12+n      m  groups          Strings of Cache-Group-Invalidation (RFC 9875), a line feed behind each; they hold none
 */
const FIELD = { targetBytes: 0, groupBytes: 4, site: 8, text: 12 } as const;

export interface Invalidation {
  /** Nothing of another site is touched. */
  readonly site: number;
  readonly targets: readonly string[];
  readonly groups: readonly string[];
}

/** How many bytes {@link writeInvalidationBlock} will write. */
export function invalidationBlockBytes({ targets, groups }: Pick<Invalidation, "targets" | "groups">): number {
  return FIELD.text + linesOf(targets).length + linesOf(groups).length;
}

/** Writes the block into a segment that is long enough for it; returns its length. */
export function writeInvalidationBlock(segment: Uint8Array, { site, targets, groups }: Invalidation): number {
  const targetText = linesOf(targets);
  const groupText = linesOf(groups);
  const length = FIELD.text + targetText.length + groupText.length;
  const bytes = Buffer.from(segment.buffer, segment.byteOffset + SEGMENT_BODY_OFFSET, length);
  bytes.writeUInt32LE(targetText.length, FIELD.targetBytes);
  bytes.writeUInt32LE(groupText.length, FIELD.groupBytes);
  bytes.writeUInt32LE(site, FIELD.site);
  bytes.write(targetText + groupText, FIELD.text, "latin1");
  return length;
}

/** Reads the block of `blockBytes` bytes; undefined when a length in it is not possible. Copies everything it returns. */
export function readInvalidationBlock(segment: Uint8Array, blockBytes: number): Invalidation | undefined {
  if (blockBytes < FIELD.text || SEGMENT_BODY_OFFSET + blockBytes > segment.length) return undefined;
  const bytes = Buffer.from(segment.buffer, segment.byteOffset + SEGMENT_BODY_OFFSET, blockBytes);
  const targetBytes = bytes.readUInt32LE(FIELD.targetBytes);
  const groupBytes = bytes.readUInt32LE(FIELD.groupBytes);
  if (FIELD.text + targetBytes + groupBytes !== blockBytes) return undefined;
  const groupsAt = FIELD.text + targetBytes;
  const targets = membersOf(bytes.toString("latin1", FIELD.text, groupsAt));
  const groups = membersOf(bytes.toString("latin1", groupsAt));
  return { site: bytes.readUInt32LE(FIELD.site), targets, groups };
}

function linesOf(members: readonly string[]): string {
  return members.map((member) => `${member}\n`).join("");
}

function membersOf(lines: string): string[] {
  return lines.split("\n").slice(0, -1);
}
