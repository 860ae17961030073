import { withoutCredentials } from "./config-mistakes.ts";
import { variableOf } from "./environment.ts";
import { flagNames, longFlag } from "./flags.ts";
import type { FlagName, Options, Source } from "./options.ts";
import { type Sources, sourceOf } from "./options.ts";

/**
 * `webproxy config check`: says in a line what the configuration amounts to. That there is no mistake in it has been found already.
 *
 * @returns The exit code, 0.
 */
export function runConfigCheck(options: Options, { file }: Sources): number {
  const { origin, sites, rules } = options;
  const where = file === undefined ? "flags and environment" : file.path;
  const names = [...sites.map(({ name }) => name), ...(origin === undefined ? [] : ["(default)"])];
  const ruleCount = sites.reduce((sum, site) => sum + (site.rules?.length ?? 0), rules.length);
  process.stdout.write(`${where}: no mistakes. Sites: ${names.join(", ")}; rules: ${ruleCount}\n`);
  return 0;
}

/**
 * `webproxy config print`: the whole configuration as a config file in JSON; or, with `sources`, each value with where it is from, which is for
 * people to look at: there the credentials of `shared` are left out.
 *
 * @returns The exit code, 0.
 */
export function runConfigPrint(options: Options, sources: Sources, { withSources }: { withSources: boolean }): number {
  if (!withSources) {
    process.stdout.write(`${JSON.stringify(options, null, 2)}\n`);
    return 0;
  }
  for (const name of [...flagNames(), "rules", "sites"] as const) {
    const source = sourceOf(name, sources);
    const value = JSON.stringify(options[name]) ?? "(none)";
    const shown = name === "shared" ? withoutCredentials(value) : value;
    process.stdout.write(`${name} = ${shown}  # ${wordsFor(name, source, sources)}\n`);
  }
  return 0;
}

function wordsFor(name: FlagName | "rules" | "sites", source: Source, { file }: Sources): string {
  if (name === "rules" || name === "sites" || source === "file" || source === "default")
    return source === "file" ? (file?.path ?? "") : "default";
  return source === "flag" ? longFlag(name) : variableOf(name);
}
