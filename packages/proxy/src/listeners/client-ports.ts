import { closeSync } from "node:fs";
import { endListening, endSteering, keepListening, steerConnections } from "@proj/ipc";
import type { LogRecord } from "@proj/protocol";
import { claimChosenPort, claimOrSharePort, claimPort, type PortClaim, type Succession } from "./port-claim.ts";

/** A port, and a descriptor of a socket for each thread that listens on it. */
export interface PortSockets {
  readonly port: number;
  readonly fds: readonly number[];
}

/** The listening sockets of a proxy. */
export interface ClientSockets {
  readonly http: PortSockets;
  readonly getfile: PortSockets;
  /** Undefined without TLS. */
  readonly https: PortSockets | undefined;
}

/** Where a proxy is to listen. */
export interface WantedPorts {
  readonly host: string;
  /** 0 takes a free one. */
  readonly httpPort: number;
  readonly getfilePort: number;
  /** Undefined: not for TLS. */
  readonly httpsPort: number | undefined;
  /** Sockets for each port. */
  readonly threads: number;
  /** Where another webproxy of this user has a port: listen beside it, see {@link ClientPorts.takeOver}. Otherwise that is refused. */
  readonly takesOver: boolean;
}

/** After this long an event loop has accepted what the kernel had queued for it, also on a machine that has much to do. */
const ACCEPTED_MS = 1_000;

/**
 * The ports of a proxy, and the sockets that listen on them, which outlive whoever accepts on them: while a proxy process is away its clients wait to be accepted by its
 * successor, and are not refused.
 */
export class ClientPorts implements Disposable {
  /** The descriptors are closed by {@link close}: who accepts on one has another descriptor of it. */
  readonly sockets: ClientSockets;
  readonly #ports: readonly OpenPort[];

  #isOpen = true;
  #hasTakenOver = false;

  private constructor(
    { http, getfile, https }: { http: OpenPort; getfile: OpenPort; https: OpenPort | undefined },
    /** Whether we have opened them, and nobody else goes on with them when we do not. */
    readonly isOwn: boolean,
  ) {
    this.sockets = { http, getfile, https };
    this.#ports = https === undefined ? [http, getfile] : [http, getfile, https];
  }

  /** Sockets that somebody else has opened and whose descriptors are ours; it sees to the ports. */
  static handedDown({ http, getfile, https }: ClientSockets): ClientPorts {
    return new ClientPorts({ http, getfile, https }, false);
  }

  /**
   * Listens; nobody accepts yet.
   *
   * @throws {PortInUseError} Somebody else has a port. {@link TakeoverError} Somebody else takes one over. {@link ListenError} A port or the address is not to be had. {@link SystemCallError} `EMFILE`.
   */
  static async open({ httpPort, getfilePort, httpsPort, ...wanted }: WantedPorts): Promise<ClientPorts> {
    const opened: OpenPort[] = [];
    const open = async (port: number, option: string) => {
      const one = await openPort({ ...wanted, port, option });
      opened.push(one);
      return one;
    };
    try {
      const http = await open(httpPort, "--http-port");
      const getfile = await open(getfilePort, "--getfile-port");
      const https = httpsPort === undefined ? undefined : await open(httpsPort, "--https-port");
      return new ClientPorts({ http, getfile, https }, true);
    } catch (error) {
      for (const one of opened) close(one);
      throw error;
    }
  }

  /**
   * Those who have our ports too get no new connections from now on, and are asked to end once they have accepted what was on its way. Until this is called the first time, they get all.
   * Resolves when they have been asked; they finish what they have begun.
   */
  async takeOver(log: (record: LogRecord) => void): Promise<void> {
    const shared = this.#hasTakenOver ? [] : this.#ports.filter(isShared);
    if (shared.length === 0) return;
    this.#hasTakenOver = true;
    const pids = new Set(shared.map(({ claim }) => claim.former.pid));
    for (const pid of pids)
      log({ level: "info", message: `Taking over from process ${pid}, which finishes what it has begun` });
    for (const { fds, claim } of shared) steerConnections(fds[0]!, claim.former.listeners, fds.length);
    await Bun.sleep(ACCEPTED_MS);
    for (const pid of pids) askToEnd(pid, log);
    await Bun.sleep(ACCEPTED_MS);
    for (const port of shared) if (this.#isOpen) await completeSuccession(port, log);
  }

  /** Who accepts on the sockets goes on; new clients are refused once nobody does. Somebody else may have the ports. */
  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    for (const port of this.#ports) close(port);
  }

  /** Who accepts on the sockets gets no new clients either, however little it does at the moment, and who waits to be accepted is reset. */
  end(): void {
    if (!this.#isOpen) return;
    for (const { fds } of this.#ports) for (const fd of fds) endListening(fd);
    this.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

interface OpenPort extends PortSockets {
  /** Undefined: it is somebody else's. */
  readonly claim?: PortClaim | Succession;
}

interface SharedPort extends OpenPort {
  readonly claim: Succession;
}

function isShared(port: OpenPort): port is SharedPort {
  return isSuccession(port.claim);
}

function isSuccession(claim: PortClaim | Succession | undefined): claim is Succession {
  return claim !== undefined && "former" in claim;
}

/** From here on the next one may take the port over. */
async function completeSuccession({ port, fds, claim }: SharedPort, log: (record: LogRecord) => void): Promise<void> {
  endSteering(fds[0]!);
  claim.complete();
  const rival = await claim.rival();
  if (rival === undefined) return;
  const message = `Process ${rival.pid} has port ${port} too, and serves some of the clients: stop one of the two`;
  log({ level: "error", message });
}

function close({ fds, claim }: OpenPort): void {
  claim?.release();
  for (const fd of fds) closeSync(fd);
}

async function openPort(wanted: {
  host: string;
  port: number;
  option: string;
  threads: number;
  takesOver: boolean;
}): Promise<OpenPort> {
  const { host, option, threads, takesOver } = wanted;
  const own = { pid: process.pid, listeners: threads };
  const claimed = takesOver
    ? await claimOrSharePort(host, wanted.port, option, own)
    : claimPort(host, wanted.port, option, own);
  const fds: number[] = [];
  let { port } = wanted;
  try {
    for (let thread = 0; thread < threads; thread++) {
      const one = listenOn(host, port);
      port = one.port;
      fds.push(one.fd);
      // Nobody accepts here yet.
      if (thread === 0 && isSuccession(claimed)) steerConnections(one.fd, 0, claimed.former.listeners);
    }
    return { port, fds, claim: claimed ?? claimChosenPort(host, port, own) };
  } catch (error) {
    claimed?.release();
    for (const fd of fds) closeSync(fd);
    throw error;
  }
}

/** Bun resolves the name, and listens as it does for itself; nothing is accepted before this socket is closed in the same turn, and ours goes on. */
function listenOn(host: string, port: number): { fd: number; port: number } {
  const opened = Bun.listen({ hostname: host, port, ...{ reusePort: true }, socket: { data() {} } });
  try {
    return { fd: keepListening((opened as typeof opened & { fd: number }).fd), port: opened.port };
  } finally {
    opened.stop(true);
  }
}

function askToEnd(pid: number, log: (record: LogRecord) => void): void {
  try {
    process.kill(pid, "SIGTERM");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ESRCH") return;
    log({ level: "error", message: `Cannot ask process ${pid} to end: ${code}; stop it by hand` });
  }
}
