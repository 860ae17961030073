import { Doorbell, objectName, SegmentPool, SharedMemory } from "@proj/ipc";
import { isAlive, runThread } from "@proj/process";
import { Counters, channelNames, PROXY_COUNTERS, sleepingOffset, threadCounters } from "@proj/protocol";
import { CacheClient } from "./cache-client.ts";
import { type Delivery, type DeliveryContext, STALL_MS } from "./delivery.ts";
import { HotTier } from "./hot-tier.ts";
import { type Connection, type Listener, listen } from "./listeners/connection.ts";
import { GetfileConnection } from "./listeners/getfile.ts";
import { HttpConnection } from "./listeners/http.ts";
import type { ListeningPorts, ProxyThreadOptions } from "./proxy-thread-options.ts";

/** How long open responses may go on after the thread was told to stop. */
const DRAIN_CHECK_MS = 20;

/** One thread of the proxy: its listeners, its end of the channel, its place in the pool. */
class ProxyThread {
  readonly ports: ListeningPorts;
  readonly #control: SharedMemory;
  readonly #pool: SegmentPool;
  readonly #context: DeliveryContext;
  readonly #bell: Doorbell;
  readonly #listeners: readonly Listener[];
  readonly #connections = new Set<Connection>();
  readonly #sweeper: ReturnType<typeof setInterval>;

  constructor(options: ProxyThreadOptions) {
    const names = channelNames(options.channel);
    const now = () => performance.now();
    this.#control = SharedMemory.open(objectName(names.controlBlock("proxy")));
    this.#pool = SegmentPool.open(objectName(names.pool));
    const counters = new Counters(PROXY_COUNTERS, threadCounters(this.#control.buffer, options.thread));
    const hot = new HotTier(options.hotBytes, now);
    const onAttach = (versions: Int32Array) => hot.attach(versions);
    const cache = new CacheClient({ ...options, counters, isAlive, now, onAttach });
    this.#context = { cache, pool: this.#pool.join(), hot, counters, stalled: new Set<Delivery>(), now };
    this.#bell = Doorbell.listen({
      name: objectName(names.bell("proxy", options.thread)),
      flag: { memory: this.#control, offset: sleepingOffset(options.thread) },
      look: () => cache.look(),
    });
    const getfile = { wire: options.getfileWire, prefix: options.prefix };
    const http = { prefix: options.prefix };
    this.#listeners = [
      listen(
        { host: options.host, port: options.httpPort },
        this.#context,
        this.#connections,
        (socket) => new HttpConnection(socket, this.#context, http),
      ),
      listen(
        { host: options.host, port: options.getfilePort },
        this.#context,
        this.#connections,
        (socket) => new GetfileConnection(socket, this.#context, getfile),
      ),
    ];
    this.ports = { http: this.#listeners[0]!.port, getfile: this.#listeners[1]!.port };
    this.#sweeper = setInterval(() => this.#sweep(), STALL_MS);
  }

  /** Finishes what is open, then lets go of everything; the main thread ends us when we take too long. */
  async stop(): Promise<void> {
    for (const listener of this.#listeners) listener.stop();
    for (const connection of [...this.#connections]) connection.stopping();
    while (this.#connections.size > 0) await Bun.sleep(DRAIN_CHECK_MS);
    clearInterval(this.#sweeper);
    this.#context.cache.stop();
    this.#bell.close();
    this.#context.pool.close();
    this.#pool.close();
    this.#control.close();
  }

  #sweep(): void {
    const { counters, hot, stalled, now } = this.#context;
    counters.set("hotBytes", hot.usedBytes);
    counters.set("hotEntries", hot.count);
    counters.set("lostWakeups", this.#bell.lostWakeups);
    counters.set("segmentsHeld", this.#pool.counters().held);
    const nowMs = now();
    for (const delivery of stalled) delivery.giveWay(nowMs);
  }
}

runThread<ProxyThreadOptions, ListeningPorts>(async (options) => {
  const thread = new ProxyThread(options);
  return { result: thread.ports, stop: () => thread.stop() };
});
