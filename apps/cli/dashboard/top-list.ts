import type { SecondMessage } from "../src/admin/live-message.ts";
import type { Ranking } from "../src/live/top-targets.ts";
import { count, size, text } from "./format.ts";
import { byId, element } from "./page.ts";

const RANKINGS: readonly Ranking[] = ["requests", "bytes", "misses"];

/** The ranking of URLs, with a tab for each way to rank them. */
export class TopList {
  #ranking: Ranking = "requests";
  #message: SecondMessage | undefined;

  constructor() {
    for (const [index, ranking] of RANKINGS.entries()) {
      const tab = byId(`tab-${ranking}`);
      tab.addEventListener("click", () => this.#choose(ranking));
      tab.addEventListener("keydown", ({ key }) => {
        const step = { ArrowRight: 1, ArrowLeft: -1 }[key];
        if (step === undefined) return;
        const next = RANKINGS[(index + step + RANKINGS.length) % RANKINGS.length]!;
        this.#choose(next);
        byId(`tab-${next}`).focus();
      });
    }
  }

  show(message: SecondMessage): void {
    this.#message = message;
    const list = message.top[this.#ranking];
    const hosts = new Set(list.map(({ target }) => hostOf(target)));
    const largest = list[0]?.amount ?? 1;
    const amount = (value: number) => text(this.#ranking === "bytes" ? size(value) : count(value));
    const rows = list.map(({ target, amount: value }) => {
      const fill = element("i");
      fill.style.width = `${((value / largest) * 100).toFixed(1)}%`;
      return element(
        "tr",
        {},
        element("td", {
          className: "url",
          text: hosts.size > 1 ? target : target.slice(hostOf(target).length),
          title: target,
        }),
        element("td", { className: "share" }, element("div", { className: "bar" }, fill)),
        element("td", { className: "number", text: amount(value) }),
      );
    });
    const nothing = element("p", { className: "nothing", text: "nothing was asked for" });
    byId("top").replaceChildren(rows.length === 0 ? nothing : element("table", {}, element("tbody", {}, ...rows)));
  }

  #choose(ranking: Ranking): void {
    this.#ranking = ranking;
    for (const one of RANKINGS) {
      const tab = byId(`tab-${one}`);
      tab.setAttribute("aria-selected", String(one === ranking));
      tab.tabIndex = one === ranking ? 0 : -1;
    }
    byId("top").setAttribute("aria-labelledby", `tab-${ranking}`);
    if (this.#message !== undefined) this.show(this.#message);
  }
}

/** What stands before the path. */
function hostOf(target: string): string {
  return target.slice(0, Math.max(0, target.indexOf("/")));
}
