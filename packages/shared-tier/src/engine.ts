import { createHash } from "node:crypto";
import { Cluster, Redis } from "ioredis";
import { describeAddress, type SharedAddress } from "./address.ts";

/** What an engine said no to, or did not say in time. Callers branch on `code`. */
export class EngineError extends Error {
  override readonly name = "EngineError";
  readonly code: "ERR_ENGINE_AWAY" | "ERR_ENGINE_SLOW" | "ERR_ENGINE_FULL" | "ERR_ENGINE_REFUSED";

  constructor(code: EngineError["code"], message: string, cause?: unknown) {
    super(message, { cause });
    this.code = code;
  }
}

type Argument = string | number | Uint8Array;
type Client = Redis | Cluster;

const CONNECT_TIMEOUT_MS = 2_000;
/** A server may take a connection and never say a word (it hangs, or the way to it is lost): then another one is tried. */
const READY_TIMEOUT_MS = 8_000;
const RECONNECT_MS_MAX = 500;
/** A master that has moved is looked for again this often before a command is given up. */
const REDIRECTIONS_MAX = 3;
const REDIRECT_DELAY_MS = 20;
/** What is wrong about a slot shows when it is asked; this is for masters that have come without a fault. */
const SLOTS_EVERY_MS = 10_000;

/**
 * One connection to the engine, or one to each node of a cluster; made and made again in the background. It finds out by itself whether it speaks to a
 * server that stands alone, to a cluster or to Sentinels. Nothing waits for a connection: what is asked without one fails at once.
 */
export class Engine {
  readonly #address: SharedAddress;
  readonly #waiting = new Set<() => void>();
  #client: Client | undefined;
  #isConnected = false;
  #isClosed = false;
  #retry: Timer | undefined;
  /** Runs while there is a client and no connection. */
  #patience: Timer | undefined;
  #attempts = 0;
  #trouble = "";

  constructor(address: SharedAddress) {
    this.#address = address;
    void this.#open();
  }

  get isConnected(): boolean {
    return this.#isConnected;
  }

  /** Resolves when there is a connection; or after `timeoutMs`, with false. */
  async connected(timeoutMs: number): Promise<boolean> {
    if (this.#isConnected) return true;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.add(resolve);
    const timer = setTimeout(resolve, timeoutMs);
    await promise;
    clearTimeout(timer);
    this.#waiting.delete(resolve);
    return this.#isConnected;
  }

  /** Gives the connection up for a new one: what was lost on the way may be sent again too late for anybody. */
  reconnect(): void {
    const client = this.#client;
    if (this.#isClosed || client === undefined) return;
    this.#client = undefined;
    this.#isConnected = false;
    clearTimeout(this.#patience);
    client.disconnect();
    this.#openSoon();
  }

  /** Which of the engine's servers answers for `key`: what fails there says nothing of the others. */
  serverOf(key: string): string {
    const client = this.#client;
    if (!(client instanceof Cluster)) return "";
    return client.slots[slotOf(key)]?.[0] ?? "";
  }

  /**
   * Bulk strings come as Buffers.
   *
   * @param timeoutMs How long the answer may take.
   * @throws {EngineError}
   */
  call(timeoutMs: number, command: string, ...args: Argument[]): Promise<unknown> {
    const client = this.#client;
    if (client === undefined || !this.#isConnected) return Promise.reject(this.#away());
    return this.#inTime(timeoutMs, command, client.callBuffer(command, ...(args as string[])));
  }

  /** Runs a script by its digest; the engine gets its text when it does not know it. */
  async run(timeoutMs: number, script: Script, keys: readonly string[], ...args: Argument[]): Promise<unknown> {
    try {
      return await this.call(timeoutMs, "EVALSHA", script.digest, keys.length, ...keys, ...args);
    } catch (error) {
      const isUnknown = error instanceof EngineError && /^NOSCRIPT/.test(messageOf(error.cause));
      if (!isUnknown) throw error;
      return await this.call(timeoutMs, "EVAL", script.text, keys.length, ...keys, ...args);
    }
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#retry);
    clearTimeout(this.#patience);
    this.#client?.disconnect();
    this.#client = undefined;
    this.#isConnected = false;
    this.#wake();
  }

  async #open(): Promise<void> {
    const { hosts } = this.#address;
    const host = hosts[this.#attempts++ % hosts.length]!;
    try {
      const mode = await askMode(this.#address, host);
      if (!this.#isClosed) this.#adopt(makeClient(this.#address, mode, host));
    } catch (error) {
      this.#trouble = messageOf(error);
      this.#openSoon();
    }
  }

  #openSoon(): void {
    if (!this.#isClosed)
      this.#retry = setTimeout(() => void this.#open(), Math.min(RECONNECT_MS_MAX, 20 * this.#attempts));
  }

  #adopt(client: Client): void {
    this.#client = client;
    this.#bePatient();
    client.on("ready", () => {
      if (this.#client !== client) return;
      clearTimeout(this.#patience);
      this.#isConnected = true;
      this.#attempts = 0;
      this.#wake();
    });
    client.on("error", (error: Error) => {
      this.#trouble = error.message;
    });
    const lost = () => {
      if (this.#client !== client) return;
      if (this.#isConnected) this.#bePatient();
      this.#isConnected = false;
    };
    client.on("close", lost);
    client.on("end", () => {
      lost();
      if (this.#client !== client) return;
      clearTimeout(this.#patience);
      this.#client = undefined;
      this.#openSoon();
    });
    client.connect().catch((error: unknown) => {
      this.#trouble = messageOf(error);
    });
  }

  #bePatient(): void {
    clearTimeout(this.#patience);
    this.#patience = setTimeout(() => {
      this.#trouble = `nothing is heard in ${READY_TIMEOUT_MS} ms`;
      this.reconnect();
    }, READY_TIMEOUT_MS);
  }

  #wake(): void {
    for (const resolve of this.#waiting) resolve();
  }

  #away(): EngineError {
    const why = this.#trouble === "" ? "no connection yet" : this.#trouble;
    return new EngineError("ERR_ENGINE_AWAY", `Cannot reach ${describeAddress(this.#address)}: ${why}`);
  }

  async #inTime(timeoutMs: number, command: string, answer: Promise<unknown>): Promise<unknown> {
    const { promise: late, reject } = Promise.withResolvers<never>();
    const timer = setTimeout(() => {
      // This thread may be what was late: what has come meanwhile is looked at first.
      setImmediate(() =>
        setImmediate(() =>
          reject(new EngineError("ERR_ENGINE_SLOW", this.#refusal(command, `nothing in ${timeoutMs} ms`))),
        ),
      );
    }, timeoutMs);
    try {
      return await Promise.race([answer, late]);
    } catch (error) {
      throw error instanceof EngineError ? error : this.#errorOf(command, error);
    } finally {
      clearTimeout(timer);
      answer.catch(() => {}); // it may still fail, later, when nobody listens any more
      late.catch(() => {});
    }
  }

  #errorOf(command: string, error: unknown): EngineError {
    const message = messageOf(error);
    const isReply = error instanceof Error && error.name === "ReplyError";
    const code = !isReply ? "ERR_ENGINE_AWAY" : /^OOM/.test(message) ? "ERR_ENGINE_FULL" : "ERR_ENGINE_REFUSED";
    return new EngineError(code, this.#refusal(command, message), error);
  }

  #refusal(command: string, why: string): string {
    return `Cannot run ${command} on ${describeAddress(this.#address)}: ${why}`;
  }
}

/** A script, and the name that the engine keeps it under. */
export class Script {
  readonly text: string;
  readonly digest: string;

  constructor(text: string) {
    this.text = text;
    this.digest = createHash("sha1").update(text).digest("hex");
  }
}

type Mode = { kind: "alone" | "cluster" } | { kind: "sentinel"; group: string };

function commonOptions({ username, password, isTls }: SharedAddress) {
  return {
    protocol: 2 as const,
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password }),
    ...(isTls && { tls: {} }),
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    connectTimeout: CONNECT_TIMEOUT_MS,
    keepAlive: 10_000,
    noDelay: true,
    disableClientInfo: true,
    lazyConnect: true,
    // A master that has been made a replica takes no writes: whoever is master now is looked for.
    reconnectOnError: (error: Error) => /READONLY/.test(error.message),
  };
}

/** What kind of engine is behind the address: asked on a connection of its own. */
async function askMode(address: SharedAddress, host: { host: string; port: number }): Promise<Mode> {
  const client = new Redis({
    ...commonOptions(address),
    ...host,
    enableReadyCheck: false,
    retryStrategy: null,
    commandTimeout: CONNECT_TIMEOUT_MS,
  });
  let trouble: Error | undefined;
  client.on("error", (error: Error) => {
    trouble = error;
  });
  try {
    await client.connect();
    const info = String(await client.call("INFO", "server"));
    const mode = /^redis_mode:(\w+)/m.exec(info)?.[1] ?? "standalone";
    if (mode === "cluster") return { kind: "cluster" };
    if (mode !== "sentinel") return { kind: "alone" };
    const groups = (await client.call("SENTINEL", "MASTERS")) as string[][];
    const names = groups.map((fields) => fields[fields.indexOf("name") + 1]);
    const [group] = names;
    if (group === undefined || names.length > 1)
      throw new Error(`the Sentinels watch ${names.length} masters, and one is wanted`);
    return { kind: "sentinel", group };
  } catch (error) {
    throw trouble ?? error;
  } finally {
    client.disconnect();
  }
}

function makeClient(address: SharedAddress, mode: Mode, answered: { host: string; port: number }): Client {
  const common = commonOptions(address);
  const retryStrategy = (times: number) => Math.min(RECONNECT_MS_MAX, 20 * 2 ** Math.min(times, 6));
  const hosts = address.hosts.map(({ host, port }) => ({ host, port }));
  if (mode.kind === "cluster") {
    return new Cluster(hosts, {
      lazyConnect: true,
      enableOfflineQueue: false,
      redisOptions: common,
      maxRedirections: REDIRECTIONS_MAX,
      retryDelayOnFailover: REDIRECT_DELAY_MS,
      retryDelayOnClusterDown: REDIRECT_DELAY_MS,
      retryDelayOnTryAgain: REDIRECT_DELAY_MS,
      slotsRefreshTimeout: CONNECT_TIMEOUT_MS,
      slotsRefreshInterval: SLOTS_EVERY_MS,
      clusterRetryStrategy: retryStrategy,
      ...(address.isTls && {
        dnsLookup: (name: string, done: (error: null, name: string) => void) => done(null, name),
      }),
    });
  }
  if (mode.kind === "sentinel") {
    const { username, password, ...rest } = common;
    return new Redis({
      ...rest,
      sentinels: hosts,
      name: mode.group,
      retryStrategy,
      ...(username !== undefined && { username, sentinelUsername: username }),
      ...(password !== undefined && { password, sentinelPassword: password }),
      ...(address.isTls && { enableTLSForSentinelMode: true }),
    });
  }
  // When it is lost, all hosts are tried in turn, and each may be another kind of engine by then.
  return new Redis({ ...common, ...answered, retryStrategy: null });
}

function messageOf(error: unknown): string {
  return error instanceof Error
    ? error.message || ((error as NodeJS.ErrnoException).code ?? error.name)
    : String(error);
}

/** CRC16 (XMODEM) of what stands between the first braces: as the engine spreads keys. */
function slotOf(key: string): number {
  const open = key.indexOf("{");
  const close = open < 0 ? -1 : key.indexOf("}", open + 1);
  const tag = close > open + 1 ? key.slice(open + 1, close) : key;
  let crc = 0;
  for (const byte of Buffer.from(tag)) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? ((crc << 1) ^ 0x1021) & 0xffff : (crc << 1) & 0xffff;
  }
  return crc % 16_384;
}
