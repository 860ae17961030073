import { byId } from "./page.ts";

const THEMES = ["auto", "light", "dark"] as const;
type Theme = (typeof THEMES)[number];
const KEY = "webproxy-theme";
const dark = matchMedia("(prefers-color-scheme: dark)");

/** Light, dark, or as the system has it; remembered in this browser. */
export function initTheme(changed: () => void): () => void {
  let theme = stored();
  const button = byId("theme");
  const show = () => {
    const isDark = theme === "dark" || (theme === "auto" && dark.matches);
    document.documentElement.dataset["theme"] = isDark ? "dark" : "light";
    button.textContent = { auto: "Auto", light: "Light", dark: "Dark" }[theme];
    button.setAttribute("aria-label", `Colours: ${theme}`);
    changed();
  };
  const next = () => {
    theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length]!;
    try {
      localStorage.setItem(KEY, theme);
    } catch {
      // A browser that keeps nothing forgets this too.
    }
    show();
  };
  button.addEventListener("click", next);
  dark.addEventListener("change", show);
  show();
  return next;
}

function stored(): Theme {
  try {
    return THEMES.find((theme) => theme === localStorage.getItem(KEY)) ?? "auto";
  } catch {
    return "auto";
  }
}

/** A colour of the page as it is now. */
export function color(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}
