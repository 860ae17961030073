import { readCredentials } from "./certificates.ts";
import { messageOf } from "./command-error.ts";
import type { Log } from "./log.ts";
import type { OpenSites } from "./open-sites.ts";
import type { Options } from "./options.ts";
import { rereadOptions, withLiveOptions } from "./reread.ts";
import type { SideSettings } from "./serve-side.ts";

/** Whether there is something to read again, a config file or certificates: else SIGHUP means to stop. */
export function isReloadable({ tlsCert }: Options, hasFile: boolean): boolean {
  return hasFile || tlsCert !== undefined;
}

/** Reads the configuration again, as often as it is asked to: one time after another, and once more for all who ask meanwhile. */
export class Reload {
  readonly #sites: OpenSites;
  readonly #log: Log;
  readonly #use: (settings: SideSettings) => Promise<void>;
  /** As the process was started: what takes a restart stays so. */
  #options: Options;
  #isRunning = false;
  #isWanted = false;

  /** @param use Makes them hold. What it throws is logged, and means that what held before goes on. */
  constructor(
    current: { options: Options; sites: OpenSites },
    log: Log,
    use: (settings: SideSettings) => Promise<void>,
  ) {
    this.#options = current.options;
    this.#sites = current.sites;
    this.#log = log;
    this.#use = use;
  }

  ask(): void {
    this.#isWanted = true;
    if (!this.#isRunning) void this.#run();
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    while (this.#isWanted) {
      this.#isWanted = false;
      await this.#readAndUse();
    }
    this.#isRunning = false;
  }

  async #readAndUse(): Promise<void> {
    try {
      const { options, waiting } = withLiveOptions(this.#options, await rereadOptions());
      // Before the sites are others: origins of theirs that are embedded here would be ended in favour of sites that never hold.
      const credentials = await readCredentials(options);
      await this.#sites.use(options);
      await this.#use({ options, sites: this.#sites.settings, credentials });
      this.#options = options;
      this.#log({ level: "info", message: `The configuration was read again: ${wordsOf(options)}` });
      if (waiting.length > 0) {
        const message = `These options are others now, and take a restart: ${waiting.join(", ")}`;
        this.#log({ level: "warn", message });
      }
    } catch (error) {
      const message = `The configuration can not be used, and what held before goes on: ${messageOf(error)}`;
      this.#log({ level: "error", message });
    }
  }
}

function wordsOf({ origin, sites, rules }: Options): string {
  const count = sites.length + (origin === undefined ? 0 : 1);
  const ruleCount = sites.reduce((sum, site) => sum + (site.rules?.length ?? 0), rules.length);
  return `${count} ${count === 1 ? "site" : "sites"}, ${ruleCount} ${ruleCount === 1 ? "rule" : "rules"}`;
}
