import type { PurgeAnswer } from "../src/purge-request.ts";
import { count, size, text } from "./format.ts";
import { byId } from "./page.ts";

const LABELS: Record<string, [label: string, placeholder: string]> = {
  url: ["URL, or path and query", "/path?query"],
  prefix: ["Beginning of the path", "/images/"],
  pattern: ["Pattern; * stands for anything", "/images/*.png"],
  tag: ["Surrogate-Key, Cache-Tag or cache group", "product-17"],
};

/** The form that purges, or says what a purge would find. */
export function initPurgeForm(): void {
  const form = byId<HTMLFormElement>("purge");
  const by = byId<HTMLSelectElement>("purge-by");
  const value = byId<HTMLInputElement>("purge-value");
  by.addEventListener("change", () => {
    const [label, placeholder] = LABELS[by.value] ?? ["", ""];
    const line = byId("purge-value-label");
    line.hidden = by.value === "all";
    line.querySelector("span")!.textContent = label;
    value.placeholder = placeholder;
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const isDry = (event.submitter as HTMLButtonElement | null)?.value !== "do";
    if (!isDry && by.value === "all" && !confirm("Purge everything that is stored?")) return;
    void purge(isDry);
  });

  async function purge(isDry: boolean): Promise<void> {
    const soft = byId<HTMLInputElement>("purge-soft").checked;
    const selector = by.value === "all" ? { all: true } : { [by.value]: value.value };
    try {
      const response = await fetch("/api/purge", {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ ...selector, soft, dryRun: isDry }),
      });
      const answer = (await response.json()) as PurgeAnswer | { error: string };
      if ("error" in answer) say(answer.error, true);
      else say(wordsOf(answer), false);
    } catch (error) {
      say(`The admin API can not be reached: ${error instanceof Error ? error.message : String(error)}`, true);
    }
  }
}

function wordsOf({ purged, bodyBytes, soft, dryRun }: PurgeAnswer): string {
  const responses = `${text(count(purged))} stored ${purged === 1 ? "response" : "responses"} (${text(size(bodyBytes))})`;
  if (dryRun) return `${responses} would be ${soft ? "made stale" : "purged"}.`;
  return `${responses} ${purged === 1 ? "is" : "are"} ${soft ? "stale now" : "purged"}.`;
}

function say(words: string, isBad: boolean): void {
  const result = byId("purge-result");
  result.textContent = words;
  result.className = isBad ? "bad" : "";
}
