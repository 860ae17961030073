import type { OriginClient, OriginState } from "@proj/origin";
import type { SiteSettings } from "@proj/protocol";
import { CacheSite } from "./cache-site.ts";

/** For so long what asks for a site by its former configuration is answered by it: requests that were under way when it changed. */
const RETIRED_MS = 60_000;

type MakeClient = (origins: readonly URL[]) => OriginClient;

/** The sites of one shard, by the number that requests name. Sites with the same origins share one client. */
export class CacheSites {
  readonly #makeClient: MakeClient;
  readonly #nowMs: () => number;
  readonly #byId = new Map<number, CacheSite>();
  readonly #retiredSinceMs = new Map<number, number>();
  readonly #clients = new Map<string, OriginClient>();

  /** @param nowMs Monotonic. */
  constructor(settings: readonly SiteSettings[], makeClient: MakeClient, nowMs: () => number) {
    this.#makeClient = makeClient;
    this.#nowMs = nowMs;
    this.use(settings);
  }

  /** Undefined for a site that this configuration does not have. */
  get(id: number): CacheSite | undefined {
    return this.#byId.get(id);
  }

  /** From now on these are the sites; the former ones are there for a while yet. */
  use(settings: readonly SiteSettings[]): void {
    const nowMs = this.#nowMs();
    const wanted = new Map(settings.map((one) => [one.id, one]));
    for (const id of this.#byId.keys()) {
      if (wanted.has(id)) this.#retiredSinceMs.delete(id);
      else if (nowMs - this.#retiredAt(id, nowMs) > RETIRED_MS) this.#forget(id);
    }
    for (const [id, one] of wanted)
      if (!this.#byId.has(id)) this.#byId.set(id, new CacheSite(one, this.#clientOf(one)));
  }

  /** What has come of the exchanges with each origin. */
  origins(): OriginState[] {
    return [...this.#clients.values()].flatMap((client) => client.origins());
  }

  close(): void {
    for (const client of this.#clients.values()) client.close();
  }

  #clientOf({ origins }: SiteSettings): OriginClient {
    const name = origins.map((url) => new URL(url).origin).join(" ");
    const known = this.#clients.get(name);
    if (known !== undefined) return known;
    const client = this.#makeClient(origins.map((url) => new URL(url)));
    this.#clients.set(name, client);
    return client;
  }

  #retiredAt(id: number, nowMs: number): number {
    const sinceMs = this.#retiredSinceMs.get(id) ?? nowMs;
    this.#retiredSinceMs.set(id, sinceMs);
    return sinceMs;
  }

  /** Its client is let go of and not closed: what it still has under way ends by itself, and its idle connections in their time. */
  #forget(id: number): void {
    const site = this.#byId.get(id);
    this.#byId.delete(id);
    this.#retiredSinceMs.delete(id);
    if (site === undefined || [...this.#byId.values()].some(({ origin }) => origin === site.origin)) return;
    for (const [name, client] of this.#clients) if (client === site.origin) this.#clients.delete(name);
  }
}
