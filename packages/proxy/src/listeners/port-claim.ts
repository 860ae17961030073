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

/** Who has a port: which process is to be asked to end, and how many sockets listen there. */
export interface PortHolder {
  readonly pid: number;
  readonly listeners: number;
}

/** A port that is ours until it is released. */
export interface PortClaim {
  /** Who has it still, and is to be asked to end once we listen. */
  readonly former?: PortHolder;
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
export function claimPort(host: string, port: number, option: string, own: PortHolder): PortClaim | undefined {
  if (port === 0) return undefined;
  const claim = holdName(host, port, option, own);
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

/** Claims a port that the kernel has chosen for us: nobody else listens there, and who wants to take it over finds us. */
export function claimChosenPort(host: string, port: number, own: PortHolder): PortClaim {
  return holdName(host, port, "", own);
}

/** How often one who takes a port over looks whether its name is free. */
const SUCCESSION_MS = 100;
const ANSWER_MS = 2_000;

/**
 * As {@link claimPort}; but where another webproxy of this user has the port, we may listen beside it, and its name is ours as soon as it lets go of it.
 *
 * @throws {PortInUseError} Somebody else has it, or a webproxy that does not say who it is.
 */
export async function claimOrSharePort(
  host: string,
  port: number,
  option: string,
  own: PortHolder,
): Promise<PortClaim | undefined> {
  try {
    return claimPort(host, port, option, own);
  } catch (error) {
    const former = error instanceof PortInUseError ? await askHolder(host, port) : undefined;
    if (former === undefined) throw error;
    return succeed(host, port, option, own, former);
  }
}

function succeed(host: string, port: number, option: string, own: PortHolder, former: PortHolder): PortClaim {
  let claim: PortClaim | undefined;
  const timer = setInterval(() => {
    try {
      claim = holdName(host, port, option, own);
      clearInterval(timer);
    } catch {
      // It has not let go yet.
    }
  }, SUCCESSION_MS);
  timer.unref();
  return {
    former,
    release() {
      clearInterval(timer);
      claim?.release();
    },
  };
}

function nameOf(host: string, port: number): string {
  return `\0webproxy.${process.getuid?.() ?? 0}.${host}.${port}`;
}

/** What is sent to a name: Bun 1.4.5 takes a connection whose other end has closed it at once for one that failed, so the answer waits for this. */
const QUESTION = "?";

/** The name tells who asks for it whose it is: `PID LISTENERS`. */
function holdName(host: string, port: number, option: string, { pid, listeners }: PortHolder): PortClaim {
  try {
    const holder = Bun.listen({
      unix: nameOf(host, port),
      socket: { data: (socket) => void socket.end(`${pid} ${listeners}\n`) },
    });
    holder.unref();
    return { release: () => holder.stop(true) };
  } catch {
    throw new PortInUseError(host, port, option);
  }
}

async function askHolder(host: string, port: number): Promise<PortHolder | undefined> {
  const answer = Promise.withResolvers<string>();
  let said = "";
  const over = () => answer.resolve(said);
  const timer = setTimeout(over, ANSWER_MS);
  try {
    await Bun.connect({
      unix: nameOf(host, port),
      socket: {
        open: (socket) => void socket.write(QUESTION),
        data(_, chunk) {
          said += chunk.toString("latin1");
        },
        end: (socket) => void socket.end(),
        close: over,
        error: over,
      },
    });
    const [, pid, listeners] = /^(\d+) (\d+)\n$/.exec(await answer.promise) ?? [];
    return pid === undefined ? undefined : { pid: Number(pid), listeners: Number(listeners) };
  } catch {
    return undefined; // nobody has the name: who listens is no webproxy of ours
  } finally {
    clearTimeout(timer);
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
