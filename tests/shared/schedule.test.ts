/**
 * A random schedule of requests, changes with their purges, cuts, and restarts, against a model.
 *
 * Each path has a version at the origin, which every change raises; a change is always followed by a purge, of the path, of its tag, of a prefix or of all. The model
 * keeps, for each node, the least version that it may still serve of each path: a purge raises it for the nodes that have applied it, and for all others when they have
 * joined again. No node may ever serve less, nor anything that the origin has not sent. Prints its seed; WEBPROXY_SEED repeats it.
 */
import { expect, test } from "bun:test";
import { DecidingOrigin } from "../caching/origin.ts";
import { get } from "../caching/support.ts";
import { RedisServer } from "../support/redis.ts";
import { Relay } from "../support/relay.ts";
import { IS_WHOLE } from "../support/scale.ts";
import { TempDirectory } from "../support/temp-directory.ts";
import { ownChannel, type Webproxy } from "../support/webproxy.ts";
import { eventually } from "../support/within.ts";
import { alone, joined, purgeNodes, sharedStatus, startNode } from "./nodes.ts";

const STEPS = IS_WHOLE ? 1_000 : 70;
const PATHS = ["/a/1", "/a/2", "/b/1", "/b/2", "/c"];
const NAMES = ["n0", "n1", "n2"];
const SETTLED_MS = 40_000;

interface Node {
  readonly name: string;
  readonly relay: Relay;
  readonly directory: TempDirectory;
  readonly channel: string;
  readonly floor: Map<string, number>;
  /** What it has purged while it was cut off: the others can not know of it before it is back. */
  readonly unsent: Map<string, number>;
  webproxy: Webproxy;
  isCut: boolean;
}

function bodyOf(path: string, version: number): string {
  return `${path} v${version} `.padEnd(200 + 7 * version, path);
}

test(
  "a random schedule of requests, purges, cuts and restarts serves nothing that was purged",
  async () => {
    const seed = Number(process.env["WEBPROXY_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
    console.log(`schedule: WEBPROXY_SEED=${seed}, ${STEPS} steps`);
    let state = seed;
    const random = (below: number) => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return Math.floor((state / 2 ** 32) * below);
    };
    await using redis = await RedisServer.start();
    const versions = new Map(PATHS.map((path) => [path, 1]));
    await using origin = await DecidingOrigin.start(({ target, headers }) => {
      const version = versions.get(target) ?? 0;
      const fields = { "Cache-Control": "max-age=600", ETag: `"${version}"`, "Surrogate-Key": target.split("/")[1]! };
      if (headers["if-none-match"] === fields.ETag) return { status: 304, headers: fields };
      return { headers: fields, body: bodyOf(target, version) };
    });
    await using stack = new AsyncDisposableStack();
    const start = (node: Pick<Node, "name" | "relay" | "directory" | "channel">) =>
      startNode(`redis://127.0.0.1:${node.relay.port}`, {
        origin: origin.url,
        channel: node.channel,
        args: ["--node", node.name, "--cache-dir", node.directory.file("cache"), "--threads", "1"],
      });
    const nodes: Node[] = [];
    for (const name of NAMES) {
      const relay = stack.use(await Relay.start(redis.port));
      const directory = stack.use(new TempDirectory({ mode: 0o777 }));
      const place = { name, relay, directory, channel: ownChannel() };
      const node: Node = { ...place, floor: new Map(), unsent: new Map(), webproxy: await start(place), isCut: false };
      nodes.push(node);
      stack.defer(() => node.webproxy[Symbol.asyncDispose]());
    }
    /** What is in the log. */
    const logged = new Map<string, number>();
    const raise = (floor: Map<string, number>, paths: readonly string[]) => {
      for (const path of paths) floor.set(path, Math.max(floor.get(path) ?? 0, versions.get(path)!));
    };
    const raiseTo = (floor: Map<string, number>, other: Map<string, number>) => {
      for (const [path, version] of other) floor.set(path, Math.max(floor.get(path) ?? 0, version));
    };
    let gets = 0;
    let purges = 0;
    let cuts = 0;
    let restarts = 0;

    const request = async (node: Node) => {
      const path = PATHS[random(PATHS.length)]!;
      const least = node.floor.get(path) ?? 0;
      const got = await get(node.webproxy.http, path, { timeoutMs: 60_000 });
      const version = Number(/v(\d+)/.exec(got.body)?.[1]);
      expect([got.status, got.body]).toEqual(["200", bodyOf(path, version)]);
      if (version < least) throw new Error(`${node.name} served v${version} of ${path} where v${least} is the least`);
      gets++;
    };
    const change = async (node: Node) => {
      const path = PATHS[random(PATHS.length)]!;
      const tag = path.split("/")[1]!;
      const [wanted, paths] = [
        [{ url: path }, [path]],
        [{ tag }, PATHS.filter((other) => other.startsWith(`/${tag}`))],
        [{ prefix: path.slice(0, 2) }, PATHS.filter((other) => other.startsWith(path.slice(0, 2)))],
        [{ all: true }, PATHS],
      ][Math.min(3, random(7))] as [Record<string, unknown>, string[]];
      for (const changed of paths) versions.set(changed, versions.get(changed)! + 1);
      const { nodes: told } = await purgeNodes(node.webproxy, wanted);
      for (const one of nodes) if (told.applied.includes(one.name)) raise(one.floor, paths);
      raise(node.isCut ? node.unsent : logged, paths);
      purges++;
    };
    const cut = async (node: Node) => {
      node.isCut = true;
      cuts++;
      node.relay.cut();
      await alone(node.webproxy);
    };
    /** Once it has joined, and all have heard what it had to say, nobody is behind. */
    const settle = async (node: Node) => {
      await joined(node.webproxy);
      const isSent = async () => (await sharedStatus(node.webproxy))?.unsent === 0;
      await eventually(SETTLED_MS, `${node.name} has sent its purges`, isSent);
      raiseTo(logged, node.unsent);
      node.unsent.clear();
      await eventually(SETTLED_MS, `${node.name}, which has joined, applies a purge`, async () => {
        const { nodes: told } = await purgeNodes(node.webproxy, { url: "/none" });
        for (const one of nodes) if (told.applied.includes(one.name)) raiseTo(one.floor, logged);
        return told.applied.includes(node.name);
      });
    };
    const heal = async (node: Node) => {
      node.relay.heal();
      node.isCut = false;
      await settle(node);
    };
    const restart = async (node: Node) => {
      await node.webproxy[Symbol.asyncDispose]();
      node.relay.heal();
      node.isCut = false;
      node.webproxy = await start(node);
      raiseTo(node.floor, logged); // applied before it served
      await settle(node);
      restarts++;
    };
    for (let step = 0; step < STEPS; step++) {
      const node = nodes[random(nodes.length)]!;
      const what = random(100);
      if (what < 75) await request(node);
      else if (what < 93) await change(node);
      else if (what < 98) await (node.isCut ? heal(node) : cut(node));
      else await restart(node);
    }
    for (const node of nodes) await (node.isCut ? heal(node) : settle(node));
    for (const node of nodes) {
      for (const path of PATHS) {
        expect((await get(node.webproxy.http, path)).body).toBe(bodyOf(path, versions.get(path)!));
      }
    }
    console.log(
      `schedule: ${gets} requests, ${purges} purges, ${cuts} cuts, ${restarts} restarts, ${origin.requests.length} origin requests`,
    );
  },
  IS_WHOLE ? 1_800_000 : 240_000,
);
