/** Whether a text is one that a pattern stands for. */
export type PatternMatch = (text: string) => boolean;

/**
 * The test that a pattern stands for: `*` is any run of characters, also none, and everything else itself; the whole text counts.
 *
 * Matches by looking for the pieces between the stars, each at its first place behind the one before: no backtracking, so that no pattern is costly
 * (CHECKLIST 29).
 */
export function patternMatch(pattern: string): PatternMatch {
  const [head = "", ...rest] = pattern.split("*");
  const tail = rest.pop();
  if (tail === undefined) return (text) => text === head;
  const middle = rest.filter((piece) => piece !== "");
  // What most patterns are, of which a request may meet many.
  if (middle.length === 0 && tail === "") return (text) => text.startsWith(head);
  if (middle.length === 0 && head === "") return (text) => text.endsWith(tail);
  return (text) => {
    if (!text.startsWith(head)) return false;
    let at = head.length;
    for (const piece of middle) {
      const found = text.indexOf(piece, at);
      if (found === -1) return false;
      at = found + piece.length;
    }
    return text.length - tail.length >= at && text.endsWith(tail);
  };
}
