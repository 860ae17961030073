import { X509Certificate } from "node:crypto";
import { createSecureContext, createServer, type SecureContext, type TLSSocket } from "node:tls";
import { sameSocket } from "@proj/ipc";
import { HANDSHAKE_TIMEOUT_MS } from "../limits.ts";
import type { Acceptor, ClientSocket, Listener } from "./connection.ts";
import { type TlsPair, TlsPairError } from "./tls-pair.ts";

/** RFC 8996: what is older must not be used. */
const MIN_VERSION = "TLSv1.2";

/** Which certificate a client gets: the first whose names hold the one that it asks for (RFC 6066 section 3), else the first. */
export class Certificates {
  /** What a client gets that names no host, or one that nobody knows. */
  readonly first: TlsPair;
  readonly #contexts: readonly { certificate: X509Certificate; context: SecureContext }[];

  /** @throws {TlsPairError} One of the pairs is none. {@link RangeError} There is none. */
  constructor(pairs: readonly TlsPair[]) {
    const [first] = pairs;
    if (first === undefined) throw new RangeError("Cannot speak TLS without a certificate");
    this.first = first;
    this.#contexts = pairs.map((pair, index) => {
      try {
        const certificate = new X509Certificate(pair.cert);
        return { certificate, context: createSecureContext({ ...pair, minVersion: MIN_VERSION }) };
      } catch (error) {
        throw new TlsPairError(index + 1, error);
      }
    });
  }

  contextFor(name: string): SecureContext {
    const named = this.#contexts.find(({ certificate }) => certificate.checkHost(name) !== undefined);
    return (named ?? this.#contexts[0]!).context;
  }
}

export interface TlsListener extends Listener {
  /**
   * Connections from now on get these; those that are open keep what they have.
   *
   * @throws {TlsPairError} One of them is none: then nothing changes.
   */
  use(pairs: readonly TlsPair[]): void;
}

/**
 * Accepts TLS on a socket that listens. It stands on `node:tls`, whose servers choose a certificate by name and change it while they listen; those of
 * `Bun.listen` have one for good.
 *
 * @param fd It stays the caller's.
 * @throws {TlsPairError} One of the pairs is none. {@link SystemCallError} `EMFILE`.
 */
export async function listenTls(fd: number, pairs: readonly TlsPair[], acceptor: Acceptor): Promise<TlsListener> {
  let current = new Certificates(pairs);
  const server = createServer({
    SNICallback: (name, done) => done(null, current.contextFor(name)),
    ALPNProtocols: ["http/1.1", "http/1.0"],
    handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
    allowHalfOpen: true,
    minVersion: MIN_VERSION,
  });
  const handshakes = new Set<TLSSocket>();
  const setFirst = () => server.setSecureContext({ ...current.first, minVersion: MIN_VERSION });
  // In Bun 1.4.5 all three are told the same socket; that of an aborted handshake closes without an error.
  server.on("connection", (socket: TLSSocket) => {
    if (!acceptor.mayBegin(handshakes.size)) return void socket.resetAndDestroy();
    handshakes.add(socket);
    socket.once("close", () => handshakes.delete(socket));
  });
  server.on("secureConnection", (socket) => {
    if (handshakes.delete(socket)) serve(socket, acceptor);
    else socket.destroy();
  });
  server.on("tlsClientError", (_error, socket) => {
    handshakes.delete(socket);
    socket.destroy();
  });
  setFirst();
  const listening = Promise.withResolvers<void>();
  server.once("error", listening.reject);
  server.listen({ fd: sameSocket(fd) }, () => listening.resolve());
  await listening.promise;
  return {
    stop: () => void server.close(),
    use(pairs) {
      current = new Certificates(pairs);
      setFirst();
    },
  };
}

/** Hands a connection's events on, in the words of one without TLS. */
function serve(socket: TLSSocket, acceptor: Acceptor): void {
  socket.on("error", () => socket.destroy());
  const connection = acceptor.accept(new TlsClientSocket(socket));
  if (connection === undefined) {
    socket.resume(); // until it closes
    return;
  }
  socket.on("data", (chunk: Uint8Array) => connection.received(chunk));
  socket.on("drain", () => connection.drained());
  socket.on("end", () => connection.halfClosed());
  socket.on("timeout", () => connection.timedOut());
  socket.on("close", () => acceptor.closed(connection));
}

/** Takes as much as fits into the stream's buffer, as a kernel would, instead of all there is. */
class TlsClientSocket implements ClientSocket {
  readonly remoteAddress: string;
  /** Node's stream in between has a buffer of its own. */
  readonly fd = -1;
  readonly #socket: TLSSocket;

  constructor(socket: TLSSocket) {
    this.#socket = socket;
    this.remoteAddress = socket.remoteAddress ?? "";
  }

  /** The octets are copied: the caller reuses their memory once they are taken. */
  write(bytes: Uint8Array): number {
    const socket = this.#socket;
    if (socket.destroyed || socket.writableEnded) return -1;
    let taken = 0;
    while (taken < bytes.length && !socket.writableNeedDrain) {
      const piece = Buffer.from(bytes.subarray(taken, taken + socket.writableHighWaterMark));
      socket.write(piece);
      taken += piece.length;
    }
    return taken;
  }

  /** From the last octet on, in either direction. */
  timeout(seconds: number): void {
    this.#socket.setTimeout(seconds * 1000);
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  end(): void {
    this.#socket.end();
    this.#socket.destroySoon();
  }

  /** What still comes goes to the connection, which drops it. */
  linger(seconds: number): void {
    this.#socket.end();
    const timer = setTimeout(() => this.end(), seconds * 1000);
    this.#socket.on("close", () => clearTimeout(timer));
  }

  /** destroy() alone would be an end in order (Bun 1.4.5), by which a client that is not told the length takes a part of a body for the whole. */
  terminate(): void {
    this.#socket.resetAndDestroy();
  }
}
