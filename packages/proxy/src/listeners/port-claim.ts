/** A port that somebody else listens on. */
export class PortInUseError extends Error {
  readonly code = "EADDRINUSE";

  constructor(host: string, port: number, option: string) {
    super(
      `Cannot listen on ${host} port ${port}: another process does. Stop it, or choose another port with ${option} (0 takes a free one)`,
    );
    this.name = "PortInUseError";
  }
}

/** A port that is ours alone until it is released. */
export interface PortClaim {
  release(): void;
}

/**
 * Takes a port for this process. Its threads share the port with `reusePort`, and so would a second proxy of the same user, unnoticed. Two
 * things keep it out: a listener without `reusePort` is refused wherever there is any other, which finds all who listen already; and a name
 * that only one process at a time can have, which decides between two that start at the same moment. The name is a socket in the abstract
 * namespace (unix(7)): the kernel drops it with its holder, and it belongs to the network namespace, as the port does.
 *
 * @returns undefined for port 0, which takes a free one.
 * @throws {PortInUseError} Somebody listens there, or is about to. {ListenError} `EACCES`, `EADDRNOTAVAIL`, `ERR_LISTEN_NAME`: the address or port is
 *   not to be had.
 */
export function claimPort(host: string, port: number, option: string): PortClaim | undefined {
  if (port === 0) return undefined;
  const claim = holdName(host, port, option);
  try {
    Bun.listen({ hostname: host, port, exclusive: true, socket: { data() {} } }).stop(true);
    return claim;
  } catch (error) {
    claim.release();
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EADDRINUSE") throw new PortInUseError(host, port, option);
    throw new ListenError(host, port, option, code);
  }
}

function holdName(host: string, port: number, option: string): PortClaim {
  try {
    const unix = `\0webproxy.${process.getuid?.() ?? 0}.${host}.${port}`;
    const holder = Bun.listen({ unix, socket: { open: (socket) => socket.terminate(), data() {} } });
    holder.unref();
    return { release: () => holder.stop(true) };
  } catch {
    throw new PortInUseError(host, port, option);
  }
}

const REASONS: Record<string, string> = {
  EACCES: "this user may not use that port",
  EADDRNOTAVAIL: "no interface of this machine has that address",
};

/** The address, or the port of it, is not to be had. */
export class ListenError extends Error {
  readonly code: string;

  constructor(host: string, port: number, option: string, code: string | undefined) {
    // Bun gives no code for a name that does not resolve.
    const reason = code === undefined ? "no address has that name" : (REASONS[code] ?? code);
    super(
      `Cannot listen on ${host} port ${port}: ${reason}. Choose another address with --host, or port with ${option}`,
    );
    this.name = "ListenError";
    this.code = code ?? "ERR_LISTEN_NAME";
  }
}
