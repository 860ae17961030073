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

/**
 * Makes sure that nobody listens on a port. The threads share it with `reusePort`, and so would a second proxy of the same user, unnoticed: a
 * listener without `reusePort` is refused wherever there is any other.
 *
 * @throws {PortInUseError} Somebody does. {ListenError} `EACCES`, `EADDRNOTAVAIL`, `ERR_LISTEN_NAME`: the address or port is not to be had.
 */
export function claimPort(host: string, port: number, option: string): void {
  if (port === 0) return;
  try {
    Bun.listen({ hostname: host, port, exclusive: true, socket: { data() {} } }).stop(true);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EADDRINUSE") throw new PortInUseError(host, port, option);
    throw new ListenError(host, port, option, code);
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
