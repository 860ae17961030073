import { existsSync } from "node:fs";
import { type Browser, chromium } from "playwright-core";

/** Debian's. */
const CHROMIUM = "/usr/bin/chromium";

export const hasChromium = existsSync(CHROMIUM);

/** A headless Chromium that calls nobody by itself. */
export function startBrowser(): Promise<Browser> {
  return chromium.launch({
    executablePath: CHROMIUM,
    args: [
      ...["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
      ...["--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"],
      ...[
        "--disable-domain-reliability",
        "--disable-default-apps",
        "--no-default-browser-check",
        "--metrics-recording-only",
      ],
      ...["--disable-features=OptimizationHints,MediaRouter,Translate", "--no-pings"],
    ],
  });
}
