import type { Socket } from "bun";
import type { Address } from "../support/address.ts";
import { within } from "../support/within.ts";

const TIMEOUT_MS = 20_000;

/** One end of a TCP connection, octet by octet (as latin1): for clients and origins that say what no library would. */
export class Wire implements Disposable {
  /** All that has come. */
  received = "";
  bytesReceived = 0;
  /** The other side sends no more: `end` in order, `reset` in any other way. */
  ended: "no" | "end" | "reset" = "no";
  /** Counts octets and forgets them. */
  counts = false;
  #socket: Socket<Wire> | undefined;
  #at = 0;
  #wake = Promise.withResolvers<void>();
  #drained = Promise.withResolvers<void>();

  /** @param scheme "https": over TLS, whatever the certificate; it resolves when the handshake is over. */
  static async connect(address: Address, scheme: "http" | "https" = "http"): Promise<Wire> {
    const wire = new Wire();
    const secured = Promise.withResolvers<void>();
    await Bun.connect<Wire>({
      hostname: address.host,
      port: address.port,
      data: wire,
      allowHalfOpen: true,
      ...(scheme === "https" && { tls: { rejectUnauthorized: false } }),
      socket: { ...HANDLERS, handshake: () => secured.resolve() },
    });
    if (scheme === "https") await within(TIMEOUT_MS, "the handshake", secured.promise);
    return wire;
  }

  /** Sends all of it, as fast as the other side takes it; false when that closed before. */
  async send(octets: string | Uint8Array): Promise<boolean> {
    const bytes = typeof octets === "string" ? Buffer.from(octets, "latin1") : octets;
    for (let sent = 0; sent < bytes.length; ) {
      if (this.#socket === undefined) return false;
      this.#drained = Promise.withResolvers<void>();
      const taken = this.#socket.write(bytes.subarray(sent));
      if (taken < 0) return false;
      sent += taken;
      if (sent < bytes.length) await this.#drained.promise;
    }
    return true;
  }

  /** The next octets up to and with `end`. */
  async through(end: string): Promise<string> {
    return this.#take(
      `${JSON.stringify(end)} after ${JSON.stringify(this.received.slice(this.#at, this.#at + 200))}`,
      () => {
        const found = this.received.indexOf(end, this.#at);
        return found < 0 ? undefined : found + end.length;
      },
    );
  }

  head(): Promise<string> {
    return this.through("\r\n\r\n");
  }

  async exactly(bytes: number): Promise<string> {
    return this.#take(`${bytes} octets`, () =>
      this.received.length >= this.#at + bytes ? this.#at + bytes : undefined,
    );
  }

  /** All that comes until the other side closes. */
  async rest(): Promise<string> {
    await this.closed();
    const rest = this.received.slice(this.#at);
    this.#at = this.received.length;
    return rest;
  }

  async closed(): Promise<"end" | "reset"> {
    const deadline = performance.now() + TIMEOUT_MS;
    while (this.ended === "no") {
      await within(Math.max(1, deadline - performance.now()), "the other side closes", this.#wake.promise);
    }
    return this.ended;
  }

  /** What has come and was not read yet. */
  get unread(): string {
    return this.received.slice(this.#at);
  }

  pause(): void {
    this.#socket?.pause();
  }

  resume(): void {
    this.#socket?.resume();
  }

  /** Sends no more; still reads. */
  end(): void {
    this.#socket?.shutdown();
  }

  close(): void {
    this.#socket?.end();
  }

  reset(): void {
    this.#socket?.terminate();
  }

  [Symbol.dispose](): void {
    this.reset();
  }

  opened(socket: Socket<Wire>): void {
    this.#socket = socket;
  }

  took(chunk: Uint8Array): void {
    this.bytesReceived += chunk.length;
    if (!this.counts) this.received += Buffer.from(chunk).toString("latin1");
    this.#tell();
  }

  room(): void {
    this.#drained.resolve();
  }

  over(how: "end" | "reset"): void {
    if (this.ended === "no") this.ended = how;
    if (how === "reset") this.#socket = undefined;
    this.#drained.resolve();
    this.#tell();
  }

  #tell(): void {
    this.#wake.resolve();
    this.#wake = Promise.withResolvers<void>();
  }

  async #take(what: string, find: () => number | undefined): Promise<string> {
    const deadline = performance.now() + TIMEOUT_MS;
    for (;;) {
      const end = find();
      if (end !== undefined) {
        const taken = this.received.slice(this.#at, end);
        this.#at = end;
        return taken;
      }
      if (this.ended !== "no")
        throw new Error(
          `It closed (${this.ended}) before ${what}; it said ${JSON.stringify(this.unread.slice(0, 200))}`,
        );
      await within(Math.max(1, deadline - performance.now()), what, this.#wake.promise);
    }
  }
}

const HANDLERS = {
  open: (socket: Socket<Wire>) => socket.data.opened(socket),
  data: (socket: Socket<Wire>, chunk: Uint8Array) => socket.data.took(chunk),
  drain: (socket: Socket<Wire>) => socket.data.room(),
  end: (socket: Socket<Wire>) => socket.data.over("end"),
  close: (socket: Socket<Wire>) => socket.data.over("reset"),
  error: (socket: Socket<Wire>) => socket.data.over("reset"),
};

/** An origin whose connections are all driven by one script. What a script throws fails the test that asks {@link RawOrigin.check}. */
export class RawOrigin implements Disposable {
  readonly wires: Wire[] = [];
  readonly #server: Bun.TCPSocketListener<Wire>;
  #failure: unknown;

  constructor(script: (wire: Wire, index: number) => Promise<void>) {
    this.#server = Bun.listen<Wire>({
      hostname: "127.0.0.1",
      port: 0,
      allowHalfOpen: true,
      socket: {
        ...HANDLERS,
        open: (socket) => {
          const wire = new Wire();
          socket.data = wire;
          wire.opened(socket);
          this.wires.push(wire);
          script(wire, this.wires.length - 1).catch((error: unknown) => {
            this.#failure ??= error;
            wire.reset();
          });
        },
      },
    });
  }

  get url(): string {
    return `http://127.0.0.1:${this.#server.port}`;
  }

  /** All octets of all connections. */
  get received(): string {
    return this.wires.map(({ received }) => received).join("");
  }

  check(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  [Symbol.dispose](): void {
    this.#server.stop(true);
  }
}
