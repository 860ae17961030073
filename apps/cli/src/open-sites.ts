import { defaultSite, type RuleSettings, type SiteSettings, siteId } from "@proj/protocol/process";
import { type OpenOrigin, openOrigin } from "./open-origin.ts";
import type { Options } from "./options.ts";
import type { RuleOptions, SiteOptions } from "./site-config.ts";

/** An embedded origin that no site has any more goes on for so long: requests that were under way may still ask it. */
const RETIRED_MS = 60_000;

type SiteParts = Pick<Options, "origin" | "rules" | "sites">;

/** The sites as both processes know them, their origins by URL, and what has to be ended with them. */
export class OpenSites {
  settings: readonly SiteSettings[] = [];
  #open = new Map<string, OpenOrigin>();
  readonly #retired = new Map<string, { origin: OpenOrigin; timer: ReturnType<typeof setTimeout> }>();

  /**
   * Makes what the options name as origins reachable by URL: directories are served by this process from now on.
   *
   * @throws {CommandError} As `openOrigin`.
   */
  static async open(options: SiteParts): Promise<OpenSites> {
    const sites = new OpenSites();
    try {
      await sites.use(options);
      return sites;
    } catch (error) {
      await sites.stop();
      throw error;
    }
  }

  /** Says what there is to try, where there is something. */
  get announce(): OpenOrigin["announce"] {
    return [...this.#open.values()].find(({ announce }) => announce !== undefined)?.announce;
  }

  /**
   * From now on these are the sites; origins that were open already stay as they are, and so do those that no site has had for less than a minute: under another address what is stored of them would
   * not be found, and whoever still knows the site would go on asking the former one.
   *
   * @throws {CommandError} As {@link open}: then nothing changes.
   */
  async use(options: SiteParts): Promise<void> {
    const former = this.#open;
    const open = new Map<string, OpenOrigin>();
    const made: OpenOrigin[] = [];
    const settings: SiteSettings[] = [];
    try {
      for (const site of settingsOf(options)) {
        const name = site.origins.join("\n");
        let origin = open.get(name) ?? former.get(name) ?? this.#held(name);
        if (origin === undefined) {
          origin = await openOrigin(site.origins);
          made.push(origin);
        }
        open.set(name, origin);
        settings.push({ ...site, origins: origin.urls.map((url) => url.href) });
      }
    } catch (error) {
      for (const origin of made) await origin.stop();
      for (const name of open.keys()) {
        const retired = this.#retired.get(name);
        if (retired !== undefined) this.#retire(name, retired.origin);
      }
      throw error;
    }
    this.settings = settings;
    this.#open = open;
    for (const name of open.keys()) this.#retired.delete(name);
    for (const [name, origin] of former) if (!open.has(name)) this.#retire(name, origin);
  }

  async stop(): Promise<void> {
    const retired = [...this.#retired.values()];
    for (const { timer } of retired) clearTimeout(timer);
    await Promise.all([...this.#open.values(), ...retired.map(({ origin }) => origin)].map((origin) => origin.stop()));
  }

  /** One that no site has any more, from now on not to be ended. */
  #held(name: string): OpenOrigin | undefined {
    const retired = this.#retired.get(name);
    clearTimeout(retired?.timer);
    return retired?.origin;
  }

  #retire(name: string, origin: OpenOrigin): void {
    const timer = setTimeout(() => {
      this.#retired.delete(name);
      void origin.stop();
    }, RETIRED_MS);
    this.#retired.set(name, { origin, timer });
  }
}

/** The sites as they are configured, each with the number of what it means. */
function settingsOf({ origin, rules, sites }: SiteParts): SiteSettings[] {
  const named = sites.map(siteSettings);
  if (origin === undefined) return named;
  const others = { ...defaultSite(origin), rules: rules.map(ruleSettings) };
  return [...named, { ...others, id: siteId(others) }];
}

function siteSettings({
  name,
  hosts = [],
  path = "/",
  stripPath = false,
  origin,
  rules = [],
}: SiteOptions): SiteSettings {
  const settings = {
    name,
    hosts,
    path: path.replace(/\/$/, ""),
    stripPath,
    origins: origin,
    rules: rules.map(ruleSettings),
  };
  return { id: siteId(settings), ...settings };
}

function ruleSettings({ path, bypass, ttl, staleWhileRevalidate, staleIfError, key }: RuleOptions): RuleSettings {
  const { query, forward, headers } = key ?? {};
  return {
    paths: path,
    ...(bypass === true && { bypass }),
    ...(ttl !== undefined && { ttlSeconds: ttl }),
    ...(staleWhileRevalidate !== undefined && { staleWhileRevalidateSeconds: staleWhileRevalidate }),
    ...(staleIfError !== undefined && { staleIfErrorSeconds: staleIfError }),
    ...(query !== undefined && forward !== undefined && { query: querySettings(query, forward) }),
    ...(headers !== undefined && { headers: headers.map((header) => header.toLowerCase()) }),
  };
}

function querySettings(
  query: { only: string[] } | { ignore: string[] },
  forward: "counted" | "all",
): RuleSettings["query"] & object {
  if ("only" in query) return { kind: "only", names: query.only, forward };
  return { kind: "ignore", names: query.ignore, forward };
}
