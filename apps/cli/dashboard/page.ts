/** The element of the page with this id; the page and the code are one. */
export function byId<Kind extends HTMLElement = HTMLElement>(id: string): Kind {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`The page has no element "${id}"`);
  return found as Kind;
}

/** A new element. Texts are texts: whatever a client has put into a URL stays one. */
export function element(
  tag: string,
  { text, className, title }: { text?: string; className?: string; title?: string } = {},
  ...children: readonly (Node | string)[]
): HTMLElement {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (className !== undefined) made.className = className;
  if (title !== undefined) made.title = title;
  made.append(...children);
  return made;
}

/** Changes a text only where it is another: a screen reader need not hear the same again. */
export function setText(target: HTMLElement, text: string): void {
  if (target.textContent !== text) target.textContent = text;
}

/** A large figure with its unit small behind it. */
export function setFigure(id: string, [value, unit]: readonly [string, string]): void {
  const target = byId(id);
  const whole = value + unit;
  if (target.dataset["shown"] === whole) return;
  target.dataset["shown"] = whole;
  target.replaceChildren(value, ...(unit === "" ? [] : [element("small", { text: unit })]));
}
