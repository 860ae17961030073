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

/** A port that somebody else takes over just now: two who did so would both stay, and each serve some of the clients. */
export class TakeoverError extends Error {
  readonly code = "ERR_TAKEOVER";

  constructor(host: string, port: number, by: PortHolder | undefined) {
    const who = by === undefined ? "another process" : `process ${by.pid}`;
    super(
      `Cannot take over ${host} port ${port}: ${who} is doing so. Start this one again once that one has, if it is to take its place`,
    );
    this.name = "TakeoverError";
  }
}

/** Who has a port: which process is to be asked to end, and how many sockets listen there. */
export interface PortHolder {
  readonly pid: number;
  readonly listeners: number;
}

/** A port that is ours until it is released. */
export interface PortClaim {
  release(): void;
}

/** A port that is ours as soon as another one has let go of it. Nobody else takes it over meanwhile. */
export interface Succession extends PortClaim {
  /** Who has it still, and is to be asked to end once we listen. */
  readonly former: PortHolder;
  /** The former holder has been asked to end, and what that took has been done: from when it lets go of the port the next one may take it over from us. */
  complete(): void;
  /** Who has the port that is neither the former holder nor us: one that does not know of successions. */
  rival(): Promise<PortHolder | undefined>;
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
  const claim = holdPortName(host, port, option, own);
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
  return holdPortName(host, port, "", own);
}

/** How often one who takes a port over looks whether its name is free. */
const SUCCESSION_MS = 100;
/** So many looks does an answer take at most. They are counted, not timed: who is stopped meanwhile has not looked, and the answer may be there when it goes on. */
const LOOKS_MAX = 20;
const LOOK_MS = 100;

/**
 * As {@link claimPort}; but where another webproxy of this user has the port, we may listen beside it, and its name is ours as soon as it lets go of it. A second name is held
 * meanwhile, which decides between two who take the same port over. Only who has that one asks who has the port: before, it could be told of one that somebody else succeeds.
 *
 * @throws {PortInUseError} Somebody else has it, or a webproxy that does not say who it is. {@link TakeoverError} Somebody takes it over.
 */
export async function claimOrSharePort(
  host: string,
  port: number,
  option: string,
  own: PortHolder,
): Promise<PortClaim | Succession | undefined> {
  try {
    return claimPort(host, port, option, own);
  } catch (error) {
    if (!(error instanceof PortInUseError)) throw error;
    const heir = holdName(heirNameOf(host, port), own);
    if (heir === undefined) throw new TakeoverError(host, port, await askHolder(heirNameOf(host, port)));
    const former = await askHolder(nameOf(host, port));
    if (former !== undefined) return succeed(nameOf(host, port), own, former, heir);
    heir.release();
    throw error;
  }
}

function succeed(name: string, own: PortHolder, former: PortHolder, heir: PortClaim): Succession {
  let claim: PortClaim | undefined;
  let isComplete = false;
  const settle = () => {
    if (claim !== undefined && isComplete) heir.release();
  };
  const timer = setInterval(() => {
    claim = holdName(name, own);
    if (claim === undefined) return; // it has not let go yet
    clearInterval(timer);
    settle();
  }, SUCCESSION_MS);
  timer.unref();
  return {
    former,
    complete() {
      isComplete = true;
      settle();
    },
    async rival() {
      const holder = claim === undefined ? await askHolder(name) : undefined;
      return holder === undefined || [former.pid, own.pid].includes(holder.pid) ? undefined : holder;
    },
    release() {
      clearInterval(timer);
      claim?.release();
      heir.release();
    },
  };
}

function nameOf(host: string, port: number): string {
  return `\0webproxy.${process.getuid?.() ?? 0}.${host}.${port}`;
}

/** Whoever holds this is the one that takes the port over. */
function heirNameOf(host: string, port: number): string {
  return `${nameOf(host, port)}.heir`;
}

/** What is sent to a name: Bun 1.4.5 takes a connection whose other end has closed it at once for one that failed, so the answer waits for this. */
const QUESTION = "?";

function holdPortName(host: string, port: number, option: string, own: PortHolder): PortClaim {
  const claim = holdName(nameOf(host, port), own);
  if (claim === undefined) throw new PortInUseError(host, port, option);
  return claim;
}

/** The name tells who asks for it whose it is: `PID LISTENERS`. undefined: somebody else has it. */
function holdName(name: string, { pid, listeners }: PortHolder): PortClaim | undefined {
  try {
    const holder = Bun.listen({
      unix: name,
      socket: { data: (socket) => void socket.end(`${pid} ${listeners}\n`) },
    });
    holder.unref();
    return { release: () => holder.stop(true) };
  } catch {
    return undefined;
  }
}

async function askHolder(name: string): Promise<PortHolder | undefined> {
  const answer = Promise.withResolvers<string>();
  let said = "";
  const over = () => answer.resolve(said);
  let looks = 0;
  const timer = setInterval(() => {
    if (++looks === LOOKS_MAX) over();
  }, LOOK_MS);
  try {
    await Bun.connect({
      unix: name,
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
    clearInterval(timer);
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
