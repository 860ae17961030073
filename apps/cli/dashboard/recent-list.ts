import type { AccessEntry } from "../src/access/line.ts";
import { chip } from "./figures.ts";
import { duration, size, text } from "./format.ts";
import { byId, element, setText } from "./page.ts";

const ROWS_MAX = 200;

/** The requests that were answered last, newest on top, as far as they hold the text that is looked for. */
export class RecentList {
  readonly #body = byId("recent").querySelector("tbody")!;
  readonly #entries: AccessEntry[] = [];
  #wanted = "";
  #isSampled = false;
  /** Hosts are shown once there is more than one. */
  readonly #hosts = new Set<string>();

  constructor() {
    const filter = byId<HTMLInputElement>("recent-filter");
    filter.addEventListener("input", () => {
      this.#wanted = filter.value.trim().toLowerCase();
      this.#body.replaceChildren();
      this.#show(this.#entries);
    });
  }

  add(entries: readonly AccessEntry[]): void {
    this.#entries.push(...entries);
    this.#entries.splice(0, this.#entries.length - ROWS_MAX);
    for (const { host } of entries) if (host !== undefined && this.#hosts.size < 2) this.#hosts.add(host);
    this.#isSampled ||= entries.some(({ weight }) => weight !== undefined);
    this.#show(entries);
    setText(byId("recent-note"), this.#isSampled ? "of hot hits a sample" : "");
  }

  #show(entries: readonly AccessEntry[]): void {
    const rows = entries.filter((entry) => this.#isWanted(entry)).map((entry) => rowOf(entry, this.#hosts.size > 1));
    this.#body.prepend(...rows.reverse());
    while (this.#body.childElementCount > ROWS_MAX) this.#body.lastElementChild?.remove();
  }

  #isWanted({ method, target, host, verdict, status, client, flags, protocol }: AccessEntry): boolean {
    if (this.#wanted === "") return true;
    const all = [method, host, target, verdict, status, client, protocol, ...(flags ?? [])].join(" ");
    return all.toLowerCase().includes(this.#wanted);
  }
}

const KIND_OF: Record<string, string> = {
  hot: "hot",
  hit: "hit",
  pass: "pass",
  refused: "refused",
  malformed: "refused",
};

function rowOf(entry: AccessEntry, hasHost: boolean): HTMLElement {
  const { time, verdict, status, method, target, host, firstByteMs, totalMs, originMs, bytes, client, flags } = entry;
  const request = element("td", { className: "url", title: `${method} ${host ?? ""}${target}` }, `${method} `);
  request.append(element("i", { text: (hasHost && host) || "" }), target);
  if (flags !== undefined) request.append(element("i", { text: `  ${flags.join(", ")}` }));
  const number = (words: string, isOptional = false) =>
    element("td", { className: isOptional ? "number optional" : "number", text: words });
  return element(
    "tr",
    {},
    element("td", { text: new Date(time).toLocaleTimeString("en-GB") }),
    element("td", {}, chip(KIND_OF[verdict] ?? "miss", verdict)),
    element("td", { text: status === 0 ? "–" : String(status) }),
    request,
    number(text(duration(firstByteMs))),
    number(text(duration(totalMs))),
    number(text(duration(originMs)), true),
    number(text(size(bytes)), true),
    element("td", { className: "optional", text: client }),
  );
}
