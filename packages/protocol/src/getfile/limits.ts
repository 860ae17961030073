/**
 * Octets of a GETFILE header, its last CR LF included. Twice the longest path Linux opens (PATH_MAX, 4096), with
 * every octet of a shorter one percent-encoded; a client that sends more is not asking for a file.
 */
export const GETFILE_HEADER_BYTES_MAX = 8192;

/** Milliseconds in which a client has to complete its header; the listener holds the clock. */
export const GETFILE_HEADER_TIMEOUT_MS = 10_000;
