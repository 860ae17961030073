/**
 * The version of every layout that proxy and cache share: control blocks, request records, request blocks, segment headers,
 * access records.
 * A process that finds another number in its peer's control block refuses to talk to it (CHECKLIST 59).
 */
export const LAYOUT_VERSION = 5;

/** The first word of a control block, "WPXY" read as a little-endian integer. */
export const CONTROL_BLOCK_MAGIC = 0x59585057;
