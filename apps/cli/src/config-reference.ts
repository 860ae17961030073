import * as v from "valibot";
import { variableOf } from "./environment.ts";
import { FLAGS, flagNames } from "./flags.ts";
import { OptionEntries } from "./options.ts";
import { KeyEntries, RuleEntries, SiteEntries } from "./site-config.ts";

/** The reference of everything that can be configured, in Markdown, from the schema that checks it. */
export function renderReference(): string {
  return [
    "# Configuration reference",
    "",
    "Generated from the schema that checks it, by `bun run docs:reference`. [configuration.md](configuration.md) says how it is used.",
    "",
    "SIZE is a number of bytes, or a text with `B`, `KiB`, `MiB` or `GiB` behind a number. DURATION is a number of seconds, or a text with `s`, `m`, `h` or `d`",
    "behind a number. Lists of files and addresses are one text with commas, or a list in a config file.",
    "",
    "## Options",
    "",
    "Each is a flag of `start`, `proxy` and `cache`, a variable of the environment, and a field of the config file, the first that is there winning. Those with",
    "a ✓ are read again on SIGHUP; the others take a restart.",
    "",
    table(
      ["field", "flag", "variable", "SIGHUP", ""],
      flagNames().map((name) => {
        const { flags, help, isLive } = FLAGS[name];
        return [`\`${name}\``, `\`${flags}\``, `\`${variableOf(name)}\``, isLive ? "✓" : "", help];
      }),
    ),
    "",
    "`--config FILE`, or `WEBPROXY_CONFIG`, names the config file. In it only, and read again on SIGHUP:",
    "",
    entryTable({ rules: OptionEntries.rules, sites: OptionEntries.sites }),
    "",
    "## A site",
    "",
    entryTable(SiteEntries),
    "",
    "## A rule",
    "",
    entryTable(RuleEntries),
    "",
    "## A key",
    "",
    entryTable(KeyEntries),
    "",
  ].join("\n");
}

function entryTable(entries: Readonly<Record<string, v.GenericSchema>>): string {
  const rows = Object.entries(entries).map(([name, entry]) => {
    const schema = "wrapped" in entry ? (entry.wrapped as v.GenericSchema) : entry;
    return [`\`${name}\``, `\`${v.getTitle(schema) ?? ""}\``, v.getDescription(schema) ?? ""];
  });
  return table(["field", "value", ""], rows);
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  return [line(head), `|${"---|".repeat(head.length)}`, ...rows.map(line)].join("\n");
}
