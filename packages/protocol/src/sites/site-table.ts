import { isBelow, type Site } from "./site.ts";

/**
 * Which site a request belongs to: by its host, exactly before `*.` below, the nearest before the farther, before any host; and among those by its
 * path, the longest first.
 */
export class SiteTable<One extends Site> {
  readonly sites: readonly One[];
  /** The one site there is, where everything belongs to it: then nothing has to be looked up. */
  readonly only: One | undefined;
  readonly #byHost = new Map<string, One[]>();
  readonly #below = new Map<string, One[]>();
  readonly #anyHost: One[] = [];

  constructor(sites: readonly One[]) {
    this.sites = sites;
    const [first] = sites;
    const isAll = sites.length === 1 && first?.settings.hosts.length === 0 && first.settings.path === "";
    this.only = isAll ? first : undefined;
    // The longest path first, so that the first that fits is the one. Among equals the default comes last.
    const ordered = [...sites].sort(
      (a, b) =>
        b.settings.path.length - a.settings.path.length ||
        Number(a.settings.name === "") - Number(b.settings.name === ""),
    );
    for (const site of ordered) this.#enter(site);
  }

  /**
   * The site of a request; undefined: nobody's.
   *
   * @param authority As the request has it: host, and port where there is one. Undefined for GETFILE, which names none.
   * @param path Origin-form, with its query.
   */
  find(authority: string | undefined, path: string): One | undefined {
    if (this.only !== undefined) return this.only;
    for (const candidates of this.#candidates(authority)) {
      const site = candidates.find(({ settings }) => isBelow(path, settings.path));
      if (site !== undefined) return site;
    }
    return undefined;
  }

  /** The sites that requests to this host may belong to, whatever their path. */
  ofHost(authority: string | undefined): readonly One[] {
    return this.only === undefined ? this.#candidates(authority).flat() : [this.only];
  }

  #enter(site: One): void {
    const { hosts } = site.settings;
    if (hosts.length === 0) this.#anyHost.push(site);
    for (const host of hosts) {
      const isBelowHost = host.startsWith("*.");
      const map = isBelowHost ? this.#below : this.#byHost;
      const name = (isBelowHost ? host.slice(2) : host).toLowerCase();
      const entered = map.get(name);
      if (entered === undefined) map.set(name, [site]);
      else entered.push(site);
    }
  }

  #candidates(authority: string | undefined): (readonly One[])[] {
    const candidates: (readonly One[] | undefined)[] = [];
    if (authority !== undefined && authority !== "") {
      const name = withoutRootDot(authority.toLowerCase());
      const host = hostOf(name);
      if (name !== host) candidates.push(this.#byHost.get(name));
      candidates.push(this.#byHost.get(host));
      for (let dot = host.indexOf("."); dot !== -1 && this.#below.size > 0; dot = host.indexOf(".", dot + 1)) {
        candidates.push(this.#below.get(host.slice(dot + 1)));
      }
    }
    candidates.push(this.#anyHost);
    return candidates.filter((one) => one !== undefined);
  }
}

/** Without the dot that makes a name absolute: `example.org.` is no other site, nor is `example.org.:8443`. */
function withoutRootDot(authority: string): string {
  return authority.replace(/\.(?=$|:[0-9]*$)/, "");
}

function hostOf(authority: string): string {
  return authority.replace(/:[0-9]*$/, "");
}
