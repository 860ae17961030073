import type { ExplainAnswer } from "../src/explain/request.ts";
import { explanationText } from "../src/explain/words.ts";
import { byId } from "./page.ts";

/** The form that says what would happen to a request, in the words of `webproxy explain`. */
export function initExplainForm(): void {
  const result = byId("explain-result");
  byId<HTMLFormElement>("explain").addEventListener("submit", async (event) => {
    event.preventDefault();
    const query = new URLSearchParams({ url: byId<HTMLInputElement>("explain-url").value });
    const fields = byId<HTMLTextAreaElement>("explain-fields").value.split("\n");
    for (const line of fields) if (line.trim() !== "") query.append("header", line.trim());
    try {
      const response = await fetch(`/api/explain?${query}`);
      const answer = (await response.json()) as ExplainAnswer | { error: string };
      result.textContent = "error" in answer ? answer.error : explanationText(answer);
    } catch (error) {
      result.textContent = `The admin API can not be reached: ${error instanceof Error ? error.message : String(error)}`;
    }
  });
}
