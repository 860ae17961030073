import { Doorbell, EventLoop, objectName, SegmentPool, SharedMemory } from "@proj/ipc";
import { healthRecord, OriginClient, statesByName } from "@proj/origin";
import {
  everyBeat,
  type Heartbeat,
  isAlive,
  runThread,
  StalledThreads,
  startHeartbeat,
  threadFacts,
} from "@proj/process";
import {
  AccessRingWriter,
  Counters,
  channelNames,
  formatResponseHead,
  HEARTBEAT_MS,
  LAYOUT_VERSION,
  type LogRecord,
  originNames,
  PROXY_COUNTERS,
  type ProxyCounter,
  type Site,
  sleepingOffset,
  threadCounters,
  threadHistogram,
  writeOriginCounts,
} from "@proj/protocol";
import { AccessRecorder } from "./access-recorder.ts";
import { CacheClient } from "./cache-client.ts";
import { type Delivery, type DeliveryContext, STALL_MS } from "./delivery.ts";
import { HeldBack } from "./held-back.ts";
import { HotTier } from "./hot-tier.ts";
import { Invalidator } from "./invalidation.ts";
import { TICK_MS } from "./limits.ts";
import { Acceptor, type ClientSocket, type Connection, type ConnectionLimit } from "./listeners/connection.ts";
import { GetfileConnection } from "./listeners/getfile.ts";
import { HttpConnection } from "./listeners/http.ts";
import type { HttpSettings } from "./listeners/http-settings.ts";
import { ThreadListeners } from "./listeners/thread-listeners.ts";
import { renderOwnResponse } from "./own-response.ts";
import { PassMemory } from "./pass-memory.ts";
import type { PassContext } from "./pass-through.ts";
import { PostKeeper } from "./post-keeper.ts";
import { ProxySites } from "./proxy-sites.ts";
import type { ProxyOrder, ProxyThreadOptions, ProxyThreadSettings } from "./proxy-thread-options.ts";
import { Relief } from "./relief.ts";
import { SendTurns } from "./send-turns.ts";
import { Tracing } from "./trace-context.ts";
import { TrustedPeers } from "./trusted-peers.ts";

/** How long open responses may go on after the thread was told to stop. */
const DRAIN_CHECK_MS = 20;
/** Each 100 ms. */
const BEATS_PER_SWEEP = Math.ceil(STALL_MS / HEARTBEAT_MS);

/** For so many client connections one body on loan may have a descriptor: half of what clients leave of the descriptors a process may have (connection-room.ts of the cli). */
const CONNECTIONS_FOR_LOAN = 6;

/** One thread of the proxy: its listeners, its end of the channel, its place in the pool. */
class ProxyThread {
  readonly #thread: number;
  readonly #control: SharedMemory;
  readonly #rings: SharedMemory;
  readonly #pool: SegmentPool;
  readonly #context: DeliveryContext;
  readonly #bell: Doorbell;
  readonly #sites: ProxySites;
  #originNames: readonly string[];
  /** Of the listeners for HTTP: one, and one more with TLS. */
  readonly #http: HttpSettings[];
  readonly #limits: ConnectionLimit[] = [];
  readonly #listeners: ThreadListeners;
  readonly #relief: Relief;
  readonly #reliefLooks: Heartbeat;
  readonly #connections = new Set<Connection>();
  readonly #sweeps: Heartbeat;
  readonly #ticks: Heartbeat;
  readonly #heartbeat: Heartbeat;

  constructor(options: ProxyThreadOptions, log: (record: LogRecord) => void) {
    const names = channelNames(options.channel);
    const now = () => performance.now();
    this.#thread = options.thread;
    this.#control = SharedMemory.open(objectName(names.controlBlock("proxy")));
    this.#rings = SharedMemory.open(objectName(names.access));
    this.#heartbeat = startHeartbeat(this.#control, options.thread);
    this.#pool = SegmentPool.open(objectName(names.pool));
    const counters = new Counters(PROXY_COUNTERS, threadCounters(this.#control.buffer, options.thread));
    const hot = new HotTier(options.hotBytes, now);
    const loop = EventLoop.current();
    const atEndOfTurn = (callback: () => void) => loop.atEndOfTurn(callback);
    const news = cacheNews(options, hot, log);
    const loanDescriptorsMax = Math.floor(options.limits.connections / CONNECTIONS_FOR_LOAN);
    const cache = new CacheClient({ ...options, counters, isAlive, now, atEndOfTurn, loanDescriptorsMax, ...news });
    const access = new AccessRecorder({
      ring: new AccessRingWriter(this.#rings.buffer, options.thread),
      slots: (index) => threadHistogram(this.#control.buffer, options.thread, index),
      counters,
      now,
      wallMs: () => Date.now(),
      random: Math.random,
    });
    const passes = new PassMemory(() => cache.stripes?.versions, now);
    const stalled = new Set<Delivery>();
    const turns = new SendTurns(now);
    const { traceRatio } = options;
    const tracing = traceRatio === undefined ? undefined : new Tracing(traceRatio);
    const pool = this.#pool.join();
    this.#context = { cache, pool, hot, passes, counters, access, tracing, turns, stalled, now };
    this.#bell = Doorbell.listen({
      name: objectName(names.bell("proxy", options.thread)),
      flag: { memory: this.#control, offset: sleepingOffset(options.thread) },
      loop,
      look: () => cache.look(),
    });
    const invalidator = new Invalidator(cache, this.#context.pool);
    this.#originNames = originNames(options.sites);
    this.#sites = new ProxySites(options.sites, {
      clientFor: (origin) =>
        new OriginClient({ origin, ...options.originSettings, onHealth: (news) => log(healthRecord(news)) }),
      passFor: (site, origin) => ({ ...passContext(origin, counters, log), ...this.#cacheEffects(site, invalidator) }),
    });
    const getfile = { wire: options.getfileWire, sites: this.#sites, heldBack: new HeldBack() };
    const http: HttpSettings = {
      sites: this.#sites,
      nowMs: () => Date.now(),
      trusted: new TrustedPeers(options.trustProxy),
      limits: options.limits,
      scheme: "http",
    };
    const https: HttpSettings = { ...http, scheme: "https" };
    this.#http = [http, https];
    const getfileFarewell = formatResponseHead(options.getfileWire, { status: "ERROR" });
    const getfileAcceptor = this.#acceptor(
      (socket) => new GetfileConnection(socket, this.#context, getfile),
      this.#limit(options.limits.connections, () => getfileFarewell),
    );
    const acceptors = { http: this.#acceptorFor(http), getfile: getfileAcceptor, https: this.#acceptorFor(https) };
    this.#listeners = new ThreadListeners(acceptors, options.tlsPairs);
    this.#relief = this.#reliefOf(options, log);
    this.#reliefLooks = everyBeat(() => this.#relief.look(this.#control.i32, now()));
    this.#sweeps = everyBeat(() => this.#sweep(), BEATS_PER_SWEEP);
    this.#ticks = everyBeat(() => {
      for (const connection of this.#connections) connection.tick?.();
    }, TICK_MS / HEARTBEAT_MS);
  }

  /** Accepts clients from now on. */
  open({ sockets, thread }: ProxyThreadOptions): Promise<void> {
    return this.#listeners.open(sockets[thread]!);
  }

  obey(order: ProxyOrder): void {
    if (order.about === "certificates") this.#listeners.use(order.pairs);
    else if (order.about === "settings") this.#use(order.settings);
    else this.#stopListening();
  }

  /** Open connections go on: their next request is treated by these. */
  #use({ sites, trustProxy, limits }: ProxyThreadSettings): void {
    const trusted = new TrustedPeers(trustProxy);
    this.#sites.use(sites);
    this.#originNames = originNames(sites);
    for (const settings of this.#http) {
      settings.trusted = trusted;
      settings.limits = limits;
    }
    for (const limit of this.#limits) limit.connections = limits.connections;
  }

  #acceptorFor(settings: HttpSettings): Acceptor {
    return this.#acceptor(
      (socket) => new HttpConnection(socket, this.#context, settings),
      this.#limit(settings.limits.connections, httpFarewell),
    );
  }

  #acceptor(connect: (socket: ClientSocket) => Connection, limit: ConnectionLimit): Acceptor {
    return new Acceptor({ open: this.#connections, counters: this.#context.counters }, connect, limit);
  }

  #limit(connections: number, farewell: () => string): ConnectionLimit {
    const limit = { connections, farewell };
    this.#limits.push(limit);
    return limit;
  }

  #reliefOf({ sockets, thread }: ProxyThreadOptions, log: (record: LogRecord) => void): Relief {
    const threads = sockets.length;
    const watch = new StalledThreads(threads, {
      ...threadFacts(process.pid),
      isProcessStopped: () => false, // nobody would be here to look
    });
    return new Relief(thread, watch, (stalled) => {
      const message = `Thread ${stalled} of the proxy hangs: until it goes on or is replaced, the others accept its clients`;
      if ((stalled + 1) % threads === thread) log({ level: "warn", message });
      return this.#listeners.standIn(sockets[stalled]!, (error) =>
        log({
          level: "error",
          message: `Cannot accept for thread ${stalled}, which hangs: ${(error as Error).message}`,
        }),
      );
    });
  }

  /** Finishes what is open, then lets go of everything; the main thread ends us when we take too long. */
  async stop(): Promise<void> {
    this.#stopListening();
    for (const connection of [...this.#connections]) connection.stopping();
    while (this.#connections.size > 0) await Bun.sleep(DRAIN_CHECK_MS);
    this.#sweeps.stop();
    this.#ticks.stop();
    this.#sites.close();
    this.#context.cache.stop();
    this.#bell.close();
    this.#context.pool.close();
    this.#pool.close();
    this.#rings.close();
    this.#heartbeat.stop();
    this.#control.close();
  }

  #stopListening(): void {
    this.#reliefLooks.stop();
    this.#relief.stop();
    this.#listeners.stop();
  }

  /** What a request that passes does to what is stored. */
  #cacheEffects(siteOf: () => Site, invalidator: Invalidator): Pick<PassContext, "invalidate" | "keeperOf"> {
    const { cache, pool } = invalidator;
    const { segmentBytes } = this.#pool;
    const nowMs = () => Date.now();
    return {
      invalidate: (request, response, done) => {
        const what = request.invalidationBy(response);
        if (what === undefined) done();
        else invalidator.run(what, done);
      },
      keeperOf: (request, sent, response, requestTimeMs) =>
        PostKeeper.of({ cache, pool, segmentBytes, site: siteOf(), nowMs }, request, sent, response, requestTimeMs),
    };
  }

  #sweep(): void {
    const { counters, hot, pool, stalled, access, now } = this.#context;
    access.look();
    counters.set("hotBytes", hot.usedBytes);
    counters.set("hotEntries", hot.count);
    counters.set("lostWakeups", this.#bell.lostWakeups);
    counters.set("segmentsHeld", pool.held);
    counters.set("doubleGiveBacks", pool.refusedGiveBacks);
    writeOriginCounts(this.#control.buffer, this.#thread, statesByName(this.#originNames, this.#sites.origins()));
    if (this.#thread === 0) this.#pool.restoreMissing();
    const nowMs = now();
    for (const delivery of stalled) delivery.giveWay(nowMs);
  }
}

function httpFarewell(): string {
  const response = { status: 503, text: "Too many connections are open" };
  return renderOwnResponse(response, { isHead: false, connection: "close", nowMs: Date.now() });
}

function passContext(
  origin: OriginClient,
  counters: Counters<ProxyCounter>,
  log: (record: LogRecord) => void,
): Omit<PassContext, "invalidate" | "keeperOf"> {
  return {
    origin,
    nowMs: () => Date.now(),
    onOriginError({ message, code }, target) {
      counters.add("originErrors");
      log({ level: "warn", message, code, target });
    },
  };
}

/** What a life of the cache means to this thread; the first thread speaks of it for all. */
function cacheNews({ channel, thread }: ProxyThreadOptions, hot: HotTier, log: (record: LogRecord) => void) {
  const say = (level: LogRecord["level"], message: string) => {
    if (thread === 0) log({ level, message, channel });
  };
  let wasLost = false;
  const onAttach = (versions: Int32Array) => {
    hot.attach(versions);
    if (wasLost) say("info", "The cache is back");
  };
  const onLost = () => {
    wasLost = true;
    say("warn", "The cache has died: until it is back, what is hot is served, other requests wait for it a while");
  };
  const onSilence = (isSilent: boolean) => {
    if (isSilent)
      say("warn", "The cache stands still: until it goes on or is replaced, requests go to the origin without it");
    else say("info", "The cache goes on");
  };
  const onRefusals = (isRefusing: boolean) => {
    const message =
      "The cache can not read what it is asked (its own log says why): requests go to the origin without it, and it is asked again every second";
    if (isRefusing) say("warn", message);
    else say("info", "The cache answers again");
  };
  const onOtherVersion = () => {
    const message = `The cache of this channel is of another release (its layout version is not ${LAYOUT_VERSION}) and is not talked to: requests go to the origin without it; start both from one release`;
    say("error", message);
  };
  return { onAttach, onLost, onSilence, onRefusals, onOtherVersion };
}

runThread<ProxyThreadOptions, void, ProxyOrder, void>(async (options, log) => {
  const thread = new ProxyThread(options, log);
  await thread.open(options);
  return {
    result: undefined,
    answer: (order) => thread.obey(order),
    stop: () => thread.stop(),
  };
});
