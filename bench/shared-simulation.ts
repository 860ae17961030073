/**
 * What would 1 to 1,000 nodes on one engine need? Zipf traffic over 10^9 objects, each node with tiers of its own, behind a load balancer that spreads at random or by
 * consistent hashing. Every part of the arithmetic is the Che approximation of an LRU cache (Che, Tung, Wang 2002) on a popularity that is cut into bands. MEASURED holds what one engine and two nodes
 * were measured to take; what is assumed stands apart, in WORLD and ASSUMED. That costs grow with the number of nodes as they do from one to two is assumed as well. No part of webproxy runs
 * here: this says what breaks first, not how it feels.
 *
 *   bun run bench/shared-simulation.ts
 */

/** Traffic and sizes of one deployment: assumed. */
const WORLD = {
  objects: 1e9,
  zipfExponent: 0.9,
  /** Of each node. */
  requestsPerSecond: 2_000,
  bytesPerObject: 30_000,
  /** Of each node's memory and disk together, in objects. */
  nodeObjects: (100 * 2 ** 30) / 30_000,
  /** Of the engine, in objects, for each of its masters. */
  engineObjects: (64 * 2 ** 30) / 30_000,
  lifetimeSeconds: 3_600,
  purgesPerSecond: 1,
};

/** By bench/shared-operations.ts (redis-server 7.0, objects of 30,000 B): commands, and microseconds of one master's processor. */
const MEASURED = {
  missAndWrite: { commands: 16.1, micros: 435 },
  hit: { commands: 4.0, micros: 226 },
  /** A second of one node without any traffic. */
  idleNode: { commands: 8.0, micros: 147 },
  /** One purge, for each node. */
  purge: { commands: 15.0, micros: 532 },
  /** A node that waits for another's origin request (50 ms) looks again so often. */
  looksForWait: 4.9,
  look: { commands: 4.0, micros: 60 },
  /** Asking for all nodes' positions, for each of them. */
  microsOfPosition: 0.29,
  /** From asking for a purge to the answer, with two nodes. */
  purgeMs: 24.5,
};
const ASSUMED = {
  /** Bytes each second through one master's network, in each direction: 10 Gbit/s. */
  bytesPerMaster: 1.2e9,
  /** A master that is busier than this is too busy. */
  busyMax: 0.7,
  /** As long as the origin takes, another node waits for what one fetches. */
  originSeconds: 0.05,
};
/** The answer to a purge asks for all positions so often, until all have applied it (ACK_POLL_MS of `LogPresence`). */
const ACK_POLL_MS = 20;
/** Each node asks for all positions each second, or, of many nodes, each 10 ms for each of them (`LogPresence`). */
const WATCH_SECONDS = (nodes: number) => Math.max(1, nodes / 100);
/** As large a cluster as Redis recommends. */
const MASTERS_MAX = 1_000;

const BANDS = 2_000;

interface Band {
  objects: number;
  /** Share of the requests for each object of the band. */
  share: number;
}

/** The popularity of all objects in bands of equal ratio of ranks. */
function bandsOf(): Band[] {
  const { objects, zipfExponent: s } = WORLD;
  const integral = (from: number, to: number) => (to ** (1 - s) - from ** (1 - s)) / (1 - s);
  const total = 1 + integral(1.5, objects + 0.5);
  const bands: Band[] = [{ objects: 1, share: 1 / total }];
  const ratio = (objects + 0.5) / 1.5;
  for (let band = 0; band < BANDS; band++) {
    const from = 1.5 * ratio ** (band / BANDS);
    const to = 1.5 * ratio ** ((band + 1) / BANDS);
    bands.push({ objects: to - from, share: integral(from, to) / total / (to - from) });
  }
  return bands;
}

/** How long an object stays in an LRU cache of so many objects without being asked for; at most its lifetime. */
function characteristicSeconds(bands: readonly { objects: number; rate: number }[], capacity: number): number {
  const held = (seconds: number) =>
    bands.reduce((sum, { objects, rate }) => sum + objects * (1 - Math.exp(-rate * seconds)), 0);
  let low = 0;
  let high = WORLD.lifetimeSeconds;
  if (held(high) <= capacity) return high;
  for (let step = 0; step < 60; step++) {
    const middle = (low + high) / 2;
    if (held(middle) > capacity) high = middle;
    else low = middle;
  }
  return low;
}

interface Outcome {
  nodes: number;
  originPerSecond: number;
  originAlonePerSecond: number;
  engineOps: number;
  nodeOps: number;
  nodeBytes: number;
  masters: number;
  purgeMs: number;
  first: string;
}

function simulate(nodes: number, spread: "random" | "hashed", bands: readonly Band[]): Outcome {
  const { requestsPerSecond, nodeObjects, engineObjects, lifetimeSeconds, bytesPerObject, purgesPerSecond } = WORLD;
  const totalRate = nodes * requestsPerSecond;
  // By consistent hashing a node sees all requests for its part of the objects; at random a part of the requests for all of them.
  const seen = bands.map(({ objects, share }) =>
    spread === "hashed"
      ? { objects: objects / nodes, rate: share * totalRate }
      : { objects, rate: share * requestsPerSecond },
  );
  const nodeSeconds = characteristicSeconds(seen, nodeObjects);
  // What the nodes do not hold, or no longer fresh: an object is asked for of the engine by each node that sees it at all.
  const missRate = (rate: number) => {
    const stays = Math.min(nodeSeconds, lifetimeSeconds);
    const hit = 1 - Math.exp(-rate * stays);
    const renewals = hit / lifetimeSeconds; // what stays for ever is still asked about once in a lifetime
    return Math.max(rate * (1 - hit), Math.min(rate, renewals));
  };
  const asked = seen.map(({ objects, rate }) => ({ objects, perNode: missRate(rate) }));
  const nodesThatAsk = spread === "hashed" ? 1 : nodes;
  const engine = bands.map(({ objects }, index) => ({ objects, rate: asked[index]!.perNode * nodesThatAsk }));
  let masters = 1;
  for (;;) {
    const engineSeconds = characteristicSeconds(engine, engineObjects * masters);
    let toEngine = 0;
    let toOrigin = 0;
    for (const { objects, rate } of engine) {
      toEngine += objects * rate;
      const hit = 1 - Math.exp(-rate * Math.min(engineSeconds, lifetimeSeconds));
      toOrigin += objects * Math.max(rate * (1 - hit), Math.min(rate, hit / lifetimeSeconds));
    }
    const hits = toEngine - toOrigin;
    const purgeMs = purgeMsOf(nodes);
    const forLog = { commands: 0, micros: 0 };
    for (const name of ["commands", "micros"] as const)
      forLog[name] = nodes * (MEASURED.idleNode[name] + purgesPerSecond * MEASURED.purge[name]);
    // All positions, for the answers to purges and for each node's view of the others.
    const readings = purgesPerSecond * (purgeMs / ACK_POLL_MS) + nodes / WATCH_SECONDS(nodes);
    forLog.micros += readings * nodes * MEASURED.microsOfPosition;
    // Nodes that come to a cold object while it is fetched, of all that ask for it in that time.
    const { originSeconds } = ASSUMED;
    const waits = engine.reduce(
      (sum, { objects, rate }) =>
        sum + objects * rate * Math.min(1, rate * originSeconds) * Math.exp(-rate * engineSeconds),
      0,
    );
    const looks = spread === "hashed" ? 0 : waits * MEASURED.looksForWait;
    const cost = (name: "commands" | "micros") =>
      hits * MEASURED.hit[name] + toOrigin * MEASURED.missAndWrite[name] + looks * MEASURED.look[name];
    const bytes = (hits + toOrigin) * bytesPerObject;
    // The log lies on one master, and does not spread.
    const logLoad = forLog.micros / 1e6;
    const dataLoad = cost("micros") / 1e6 / masters + (masters === 1 ? logLoad : 0);
    const netLoad = (Math.max(hits, toOrigin) * bytesPerObject) / ASSUMED.bytesPerMaster / masters;
    if (Math.max(dataLoad, netLoad) > ASSUMED.busyMax && masters < MASTERS_MAX) {
      masters++;
      continue;
    }
    const alone =
      spread === "hashed" ? toEngine : asked.reduce((sum, { objects, perNode }) => sum + objects * perNode, 0) * nodes;
    const loads = { "the log's master": logLoad, "the engine's processors": dataLoad, "the engine's network": netLoad };
    const [first] = Object.entries(loads).toSorted((a, b) => b[1] - a[1]);
    return {
      nodes,
      originPerSecond: toOrigin,
      originAlonePerSecond: alone,
      engineOps: cost("commands") + forLog.commands,
      nodeOps: (cost("commands") + forLog.commands) / nodes,
      nodeBytes: bytes / nodes,
      masters,
      purgeMs,
      first: `${first![0]} (${Math.round(100 * first![1])} %)`,
    };
  }
}

/** All nodes say that they have applied it at about the same time, and wait for one another there, and for the answer's own questions. */
function purgeMsOf(nodes: number): number {
  const queueMs = (Math.max(0, nodes - 2) * MEASURED.purge.micros) / 1000;
  const shareOfQuestions = (nodes * MEASURED.microsOfPosition) / 1000 / ACK_POLL_MS;
  return (MEASURED.purgeMs + queueMs) / Math.max(0.01, 1 - shareOfQuestions);
}

function si(value: number): string {
  for (const [unit, size] of [
    ["G", 1e9],
    ["M", 1e6],
    ["k", 1e3],
  ] as const)
    if (value >= size) return `${(value / size).toPrecision(3)}${unit}`;
  return value.toPrecision(3);
}

const bands = bandsOf();
console.log(`measured (bench/shared-operations.ts): ${JSON.stringify(MEASURED)}`);
console.log(`assumed: ${JSON.stringify({ ...WORLD, ...ASSUMED })}`);
for (const spread of ["random", "hashed"] as const) {
  console.log(
    `\n| nodes, ${spread} | origin requests/s, each alone | with the shared tier | engine commands/s | of each node | bytes/s of each node | masters, 70 % busy | purge, all nodes | busiest |`,
  );
  console.log("|---:|---:|---:|---:|---:|---:|---:|---:|---|");
  for (const nodes of [1, 3, 10, 30, 100, 300, 1000]) {
    const outcome = simulate(nodes, spread, bands);
    const cells = [
      outcome.nodes,
      si(outcome.originAlonePerSecond),
      si(outcome.originPerSecond),
      si(outcome.engineOps),
      si(outcome.nodeOps),
      `${si(outcome.nodeBytes)}B`,
      outcome.masters,
      `${outcome.purgeMs.toFixed(0)} ms`,
      outcome.first,
    ];
    console.log(`| ${cells.join(" | ")} |`);
  }
}
