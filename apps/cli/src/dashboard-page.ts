import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** The dashboard as one file, and what may run in it: its own script and style, and nothing from anywhere else. */
export interface DashboardPage {
  readonly html: string;
  readonly securityPolicy: string;
}

/** What the packed page is called, beside the bundle. */
export const PACKED_PAGE = "dashboard.html";

let page: Promise<DashboardPage> | undefined;

/** The page; put together when it is first asked for, or by the build of the package. */
export function dashboardPage(): Promise<DashboardPage> {
  page ??= loadPage();
  return page;
}

async function loadPage(): Promise<DashboardPage> {
  const packed = join(import.meta.dir, PACKED_PAGE);
  const html = existsSync(packed)
    ? readFileSync(packed, "utf8")
    : await renderPage(join(import.meta.dir, "../dashboard"));
  const script = hashOf(html, /<script type="module">([\s\S]*?)<\/script>/);
  const style = hashOf(html, /<style>([\s\S]*?)<\/style>/);
  const own = `script-src '${script}'; style-src '${style}'; connect-src 'self'; img-src data:`;
  return {
    html,
    securityPolicy: `default-src 'none'; ${own}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
  };
}

/**
 * Puts the page together from its sources: script and style inside, so that it needs nothing but itself.
 *
 * @param folder Where the sources are.
 * @throws {Error} They do not compile.
 */
export async function renderPage(folder: string): Promise<string> {
  const built = await Bun.build({
    entrypoints: [join(folder, "main.ts")],
    target: "browser",
    format: "esm",
    minify: true,
    throw: false,
  });
  const script = await built.outputs[0]?.text();
  if (!built.success || script === undefined)
    throw new Error(`Cannot bundle the dashboard: ${built.logs.map(String).join("\n")}`);
  const uplot = readFileSync(Bun.resolveSync("uplot/dist/uPlot.min.css", folder), "utf8");
  const own = readFileSync(join(folder, "style.css"), "utf8");
  // As functions: what is put in may hold a "$&".
  return readFileSync(join(folder, "index.html"), "utf8")
    .replace("/*STYLE*/", () => `${uplot}\n${own}`)
    .replace("/*SCRIPT*/", () => script.replaceAll("</script", "<\\/script"));
}

function hashOf(html: string, pattern: RegExp): string {
  const content = pattern.exec(html)?.[1] ?? "";
  return `sha256-${new Bun.CryptoHasher("sha256").update(content).digest("base64")}`;
}
