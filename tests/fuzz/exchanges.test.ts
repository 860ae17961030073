/**
 * Any response, cut into any pieces, through real processes to any client. An origin says what exchange-plan.ts has thrown: heads and bodies around the
 * sizes of portions, in each framing, interim responses, trailers, broken off or whole, in pieces that come at once or wait. Clients of both wires and
 * versions ask for it at the same time, read slowly, leave, take trailers or not. llhttp reads what the HTTP clients got. Whoever is told that it is whole
 * has all of it, byte for byte.
 *
 * EXCHANGES=n for another number (300; 20,000 in the whole run), EXCHANGES_SEED=n repeats a run.
 */
import { expect, test } from "bun:test";
import { RawOrigin, Wire } from "../http/wire.ts";
import { sha256 } from "../support/bytes.ts";
import { getfile } from "../support/getfile-client.ts";
import { IS_WHOLE } from "../support/scale.ts";
import { Webproxy } from "../support/webproxy.ts";
import { eventually, within } from "../support/within.ts";
import { contentOf, Dice, headOf, isWhole, type ResponsePlan, responsePlan } from "./exchange-plan.ts";
import { Llhttp } from "./http1-llhttp.ts";

const { EXCHANGES, EXCHANGES_SEED } = process.env;
const exchanges = Number(EXCHANGES ?? (IS_WHOLE ? 20_000 : 300));
const seed = Number(EXCHANGES_SEED ?? Math.floor(Math.random() * 2 ** 31));
const CLIENTS = 30;
const TARGETS = 6;
const EXCHANGE_MS = 60_000;

console.log(`exchanges: EXCHANGES_SEED=${seed} EXCHANGES=${exchanges}`);

/** Sends octets in the plan's pieces. */
async function sendInPieces(wire: Wire, octets: Buffer, dice: Dice): Promise<void> {
  const most = dice.one([40, 1500, 9000, 1_000_000]);
  for (let at = 0; at < octets.length; ) {
    const size = Math.min(octets.length - at, 1 + dice.below(most));
    if (!(await wire.send(octets.subarray(at, at + size)))) return;
    at += size;
    if (dice.once(most < 100 ? 60 : 6)) await Bun.sleep(dice.one([0, 1, 5, 40]));
  }
}

async function answer(wire: Wire, plans: ReadonlyMap<string, ResponsePlan>): Promise<void> {
  for (;;) {
    const request = await wire.head();
    const [method, target = ""] = request.split(" ", 2);
    const plan = plans.get(target)!;
    const dice = new Dice(plan.pieces);
    const content = method === "HEAD" ? Buffer.alloc(0) : contentOf(plan);
    await sendInPieces(wire, Buffer.concat([Buffer.from(headOf(plan, method === "HEAD"), "latin1"), content]), dice);
    if (method !== "HEAD" && !isWhole(plan)) return wire.reset();
    if (plan.framing === "close") return wire.close();
  }
}

interface Got {
  what: string;
  plan: ResponsePlan;
  method: string;
  received: string;
  ended: Wire["ended"];
}

/** One HTTP exchange; undefined when the client has left before its end. */
async function ask(webproxy: Webproxy, target: string, plan: ResponsePlan, dice: Dice): Promise<Got | undefined> {
  const method = dice.once(10) ? "HEAD" : "GET";
  const minor = dice.once(5) ? 0 : 1;
  const takesTrailers = minor === 1 && dice.once(2);
  using client = await Wire.connect(webproxy.http);
  const fields = takesTrailers ? "Connection: close, TE\r\nTE: trailers\r\n" : "Connection: close\r\n";
  await client.send(`${method} ${target} HTTP/1.${minor}\r\nHost: h\r\n${fields}\r\n`);
  if (dice.once(12)) {
    await Bun.sleep(dice.below(30));
    return undefined; // disposed of: a reset
  }
  if (dice.once(4)) {
    client.pause();
    await Bun.sleep(dice.below(250));
    client.resume();
  }
  const what = `${method} ${target} HTTP/1.${minor}${takesTrailers ? " TE" : ""}`;
  await within(EXCHANGE_MS, what, client.closed());
  return { what, plan, method, received: client.received, ended: client.ended };
}

function describe({ plan, what }: Pick<Got, "plan" | "what">): string {
  const { body, trailers, ...rest } = plan;
  return `${what}: ${JSON.stringify({ ...rest, head: rest.head.length, body: body.length, trailers: trailers.length })}`;
}

async function check(llhttp: Llhttp, all: readonly Got[]): Promise<void> {
  const readings = await llhttp.read(
    all.map(({ received, method }) => ({ kind: "response", bytes: received, requestMethods: [method] })),
  );
  for (const [index, got] of all.entries()) {
    const { plan, method, ended } = got;
    const { messages, outcome } = readings[index]!;
    const final = messages.filter(({ status }) => status! >= 200);
    const isEnded = (outcome === "end" || outcome === "last") && final.length === 1 && ended === "end";
    const [message] = final;
    if (message?.status === 502 && !isWhole(plan)) continue;
    if (!isEnded) {
      expect({ got: describe(got), outcome, ended, isWhole: isWhole(plan) }).toMatchObject({ isWhole: false });
      continue;
    }
    const body = Buffer.from(message!.body, "latin1");
    const expected = method === "HEAD" ? Buffer.alloc(0) : plan.body;
    expect({ got: describe(got), status: message!.status, bytes: body.length, isSame: body.equals(expected) }).toEqual({
      ...{ got: describe(got), status: 200, bytes: expected.length, isSame: true },
    });
    // All of them or none: a hit has none; past the cache they come with chunks, asked for or not.
    const trailers = message!.trailers.length > 0 ? plan.trailers : [];
    expect(message!.trailers).toEqual(trailers.map(([name, value]) => [name, value]));
    expect(message!.fields.some(([name]) => name.startsWith("X-T-"))).toBe(false);
  }
}

async function askGetfile(webproxy: Webproxy, target: string, plan: ResponsePlan, dice: Dice): Promise<void> {
  const pause = dice.once(3) ? { pauseAfterBytes: { bytes: 1, until: Bun.sleep(dice.below(250)) } } : {};
  const leave = dice.once(6) ? { leaveAfterBytes: 1 } : {};
  const { status, isComplete, sha256: sum, length } = await getfile(webproxy.getfile, target, { ...pause, ...leave });
  if ("leaveAfterBytes" in leave) return;
  const got = describe({ plan, what: `GETFILE ${target}` });
  if (isComplete && status === "OK")
    expect({ got, length, sum }).toEqual({ got, length: plan.body.length, sum: sha256(plan.body) });
  else expect({ got, status, isWhole: isWhole(plan) }).toMatchObject({ isWhole: false });
}

test(
  "what is said to be whole is what the origin said, in whatever pieces it came",
  async () => {
    const dice = new Dice(seed);
    const plans = new Map<string, ResponsePlan>();
    using origin = new RawOrigin((wire) => answer(wire, plans).catch(() => wire.reset()));
    await using llhttp = new Llhttp();
    await using webproxy = await Webproxy.start({
      origin: origin.url,
      args: ["--segment-size", "4KiB", "--segments", "12", "--memory", "1MiB", "--hot", "256KiB"],
    });
    try {
      for (let done = 0, round = 0; done < exchanges; done += CLIENTS, round++) {
        const targets = Array.from({ length: TARGETS }, (_, index) => `/${round}-${index}`);
        for (const target of targets) plans.set(target, responsePlan(dice));
        const asked = Array.from({ length: CLIENTS }, () => {
          const target = dice.one(targets);
          const own = new Dice(dice.below(2 ** 31));
          const plan = plans.get(target)!;
          if (own.once(4)) return askGetfile(webproxy, target, plan, own).then(() => undefined);
          return Bun.sleep(own.below(20)).then(() => ask(webproxy, target, plan, own));
        });
        const got = (await Promise.all(asked)).filter((one) => one !== undefined);
        await check(llhttp, got);
        for (const target of targets) plans.delete(target);
        origin.wires.length = 0; // their octets were looked at
      }
    } catch (error) {
      const { restarts } = await webproxy.stats();
      throw new Error(`With restarts ${JSON.stringify(restarts)} and ${webproxy.stderr.slice(-3000)}`, {
        cause: error,
      });
    }
    await webproxy.segmentsReturned();
    await eventually(
      10_000,
      "no transfer is open",
      async () => (await webproxy.stats()).cache?.counters.transfersOpen === 0,
    );
    const { refusedMessages } = await webproxy.stats();
    expect(refusedMessages).toBe(0);
  },
  120_000 + exchanges * 200,
);
