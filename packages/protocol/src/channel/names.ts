/** What a channel may be called: it becomes part of names in /dev/shm, so no slash, no blank, nothing a shell would mind. */
export const CHANNEL_NAME = /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/;

export type Side = "proxy" | "cache";

/**
 * The names of all IPC objects of one channel, as POSIX object names. Two channels never share a name: a channel's name holds no
 * dot, and every name of channel C starts with `/webproxy.C.`.
 *
 * @example
 * channelNames("default").bell("proxy", 0); // "/webproxy.default.bell.proxy.0"
 */
export function channelNames(channel: string) {
  const prefix = `/webproxy.${channel}.`;
  return {
    /** What every name of this channel starts with. */
    prefix,
    controlBlock: (side: Side): string => `${prefix}${side}`,
    lock: (side: Side): string => `${prefix}${side}.lock`,
    /** The proxy's rings of access records. */
    access: `${prefix}access`,
    pool: `${prefix}pool`,
    requestQueue: (shard: number): string => `${prefix}request.${shard}`,
    noticeQueue: (thread: number): string => `${prefix}notice.${thread}`,
    /** A body on loan. The cache's life is in the name: what a former life lent is never taken for what this one does. */
    body: (life: number, shard: number, loan: number): string => `${prefix}body.${life}.${shard}.${loan}`,
    /** What the name of every body on loan starts with, before a dot. */
    bodies: `${prefix}body`,
    bell: (side: Side, thread: number): string => `${prefix}bell.${side}.${thread}`,
  };
}
