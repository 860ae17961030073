import type { OriginClient, OriginState } from "@proj/origin";
import { type Site, type SiteSettings, SiteTable } from "@proj/protocol";
import type { PassContext } from "./pass-through.ts";
import { ProxySite } from "./proxy-site.ts";
import { type KnownGetfile, type KnownPass, type KnownRequest, RequestMemo } from "./request-memo.ts";

interface Makers {
  readonly clientFor: (origins: readonly URL[]) => OriginClient;
  readonly passFor: (site: () => Site, origin: OriginClient) => PassContext;
}

/** The sites of one thread, and who is asked for what does not pass the cache. Sites with the same origins share one client. */
export class ProxySites {
  /** For each request anew: another one once the configuration has been read again. */
  table: SiteTable<ProxySite>;
  /** Of heads whose meaning depends on {@link table}. Those that pass have a memo of their own: each may be another, and would take the place of the hot ones. */
  memo = new RequestMemo<KnownRequest>();
  passMemo = new RequestMemo<KnownPass>();
  getfileMemo = new RequestMemo<KnownGetfile>();
  readonly #makers: Makers;
  /** The site whose targets stand in the hot tier as they are: for the one there is at the start, nothing has to be put before them. */
  readonly #plainId: number | undefined;
  #clients = new Map<string, OriginClient>();

  constructor(settings: readonly SiteSettings[], makers: Makers) {
    this.#makers = makers;
    this.#plainId = settings.length === 1 ? settings[0]?.id : undefined;
    this.table = this.#tableOf(settings);
  }

  /** From now on these are the sites. What is under way with a former one's origins ends by itself, and their idle connections in their time. */
  use(settings: readonly SiteSettings[]): void {
    this.table = this.#tableOf(settings);
    this.memo = new RequestMemo();
    this.passMemo = new RequestMemo();
    this.getfileMemo = new RequestMemo();
  }

  /** What has come of the exchanges with each origin. */
  origins(): OriginState[] {
    return [...this.#clients.values()].flatMap((client) => client.origins());
  }

  close(): void {
    for (const client of this.#clients.values()) client.close();
  }

  #tableOf(settings: readonly SiteSettings[]): SiteTable<ProxySite> {
    const former = this.#clients;
    this.#clients = new Map();
    return new SiteTable(
      settings.map((one) => {
        const pass = this.#makers.passFor(() => site, this.#clientOf(one, former));
        const site: ProxySite = new ProxySite(one, pass, one.id === this.#plainId ? "" : `${one.id} `);
        return site;
      }),
    );
  }

  #clientOf({ origins }: SiteSettings, former: ReadonlyMap<string, OriginClient>): OriginClient {
    const name = origins.map((url) => new URL(url).origin).join(" ");
    const urls = origins.map((url) => new URL(url));
    const client = this.#clients.get(name) ?? former.get(name) ?? this.#makers.clientFor(urls);
    this.#clients.set(name, client);
    return client;
  }
}
