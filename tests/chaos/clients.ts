import type { Address } from "../support/address.ts";
import { eventually } from "../support/within.ts";
import { pathOf, SIZES } from "./content.ts";
import { type Ask, Conversation, type Outcome } from "./conversation.ts";
import { SeededRandom } from "./random.ts";

/** Resources of each size. */
const NUMBERS = 4;
/** A client that is refused or not let in does not come back at once. */
const AFTER_FAILURE_MS = 100;

export type Tally = Record<Outcome["kind"] | "unreachable", number> & { bytes: number };

export interface ClientOptions {
  /** None of them leaves in the middle. */
  patient?: boolean;
}

/** Clients of every kind at once, each with its own way of asking, until they are stopped. What must not be is kept word for word. */
export class Clients {
  readonly tally: Tally = {
    whole: 0,
    refused: 0,
    broken: 0,
    closed: 0,
    left: 0,
    unreachable: 0,
    hang: 0,
    wrong: 0,
    bytes: 0,
  };
  readonly complaints: string[] = [];
  readonly #addresses: { http: Address; getfile: Address };
  readonly #options: ClientOptions;
  readonly #running: Promise<void>[];
  #isStopped = false;
  /** Resolves when they may go on. */
  #pause: PromiseWithResolvers<void> | undefined;
  #resting = 0;

  constructor(
    addresses: { http: Address; getfile: Address },
    count: number,
    seed: number,
    options: ClientOptions = {},
  ) {
    this.#options = options;
    this.#addresses = addresses;
    this.#running = Array.from({ length: count }, (_, client) => this.#run(new SeededRandom(seed + client)));
  }

  /** What is on its way is finished. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await Promise.all(this.#running);
  }

  /** What is on its way is finished; then none of them has a connection, until {@link goOn}. */
  async rest(patienceMs: number): Promise<void> {
    this.#pause = Promise.withResolvers();
    await eventually(patienceMs, "every client has an answer", () => this.#resting === this.#running.length);
  }

  goOn(): void {
    this.#pause?.resolve();
    this.#pause = undefined;
  }

  async #run(random: SeededRandom): Promise<void> {
    while (!this.#isStopped) {
      if (this.#pause !== undefined) {
        this.#resting++;
        await this.#pause.promise;
        this.#resting--;
      }
      const isGetfile = random.next() < 0.4;
      const asks = isGetfile || random.next() < 0.4 ? 1 : random.between(2, 12);
      const conversation = new Conversation();
      const isOpen = await conversation.open(isGetfile ? this.#addresses.getfile : this.#addresses.http);
      if (!isOpen) {
        this.tally.unreachable++;
        await Bun.sleep(AFTER_FAILURE_MS);
        continue;
      }
      const goesOn = () => conversation.isOpen && !this.#isStopped && this.#pause === undefined;
      for (let left = asks; left > 0 && goesOn(); left--) {
        const ask = someAsk(random, isGetfile ? "getfile" : "http", left > 1);
        if (this.#options.patient === true) delete ask.leaveAfterBytes;
        const outcome = await conversation.ask(ask);
        this.#count(outcome, ask);
        if (outcome.kind === "refused" || outcome.kind === "broken" || outcome.kind === "closed")
          await Bun.sleep(AFTER_FAILURE_MS);
      }
      conversation.close();
    }
  }

  #count(outcome: Outcome, ask: Ask): void {
    this.tally[outcome.kind]++;
    if (outcome.kind === "whole") this.tally.bytes += Number(ask.path.split("/")[2]);
    if (outcome.kind === "wrong" || outcome.kind === "hang") this.complaints.push(`${outcome.kind}: ${outcome.what}`);
  }
}

function someAsk(random: SeededRandom, wire: Ask["wire"], keepAlive: boolean): Ask {
  // Small ones more often: the largest would be all that there is time for.
  const size = SIZES[Math.floor(SIZES.length * random.next() ** 1.5)]!;
  const ask: Ask = { wire, path: pathOf(size, random.between(0, NUMBERS - 1)), keepAlive };
  if (wire === "http" && size > 1 && random.next() < 0.25) {
    const start = random.between(0, size - 1);
    ask.range = { start, end: random.between(start, size - 1) };
  }
  const dice = random.next();
  if (size > 300_000 && dice < 0.1) ask.leaveAfterBytes = random.between(1, size);
  else if (size > 300_000 && dice < 0.2) ask.pauseMs = random.between(50, 1_500);
  return ask;
}
