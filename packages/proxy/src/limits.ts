/** How long the peer may take nothing of what it asked for before its connection is reset. */
export const SEND_TIMEOUT_S = 60;
/** How long a GETFILE connection stays half-closed for the client to close first: a reset would eat the tail. */
export const LINGER_TIMEOUT_S = 5;
/** How long an HTTP client may take for a head (RFC 9110 section 15.5.9: 408), once its first byte is there. */
export const HEAD_TIMEOUT_MS = 10_000;
/** How long an HTTP connection may stay idle between requests. */
export const IDLE_TIMEOUT_S = 60;
/** Bytes of requests that wait behind the one being answered; beyond it the connection is not read. */
export const PIPELINE_BYTES_MAX = 128 * 1024;
