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
 * @throws {PortInUseError} Somebody does. Otherwise what Bun.listen throws: `EACCES`, `EADDRNOTAVAIL`.
 */
export function claimPort(host: string, port: number, option: string): void {
  if (port === 0) return;
  try {
    Bun.listen({ hostname: host, port, exclusive: true, socket: { data() {} } }).stop(true);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EADDRINUSE") throw new PortInUseError(host, port, option);
    throw Object.assign(
      new Error(
        `Cannot listen on ${host} port ${port}: ${code}. Choose another address with --host, or port with ${option}`,
      ),
      { code },
    );
  }
}
