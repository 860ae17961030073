import { addressText } from "./address-text.ts";
import { readCredentials } from "./certificates.ts";
import { cannotRun } from "./command-error.ts";
import type { Log } from "./log.ts";
import { Logs } from "./logs.ts";
import { OpenSites } from "./open-sites.ts";
import type { Options } from "./options.ts";
import { refuseOwnAddress } from "./own-address.ts";
import { isReloadable, Reload } from "./reload.ts";
import { complaintOf, type Serving, type SideName, START, serveUntil } from "./serve-side.ts";
import { hangupMeans, type StopRequest } from "./stop-request.ts";
import { becomeUser, warnOfRoot } from "./user.ts";
import { printLine } from "./write-at-once.ts";

/**
 * Runs the proxy or the cache alone in this process until a stop is asked for.
 *
 * @returns The exit code, 0.
 * @throws {CommandError} Exit code 1: it could not run, or not go on.
 */
export async function runSide(
  side: SideName,
  options: Options,
  { stop, hasFile }: { stop: StopRequest; hasFile: boolean },
): Promise<number> {
  if (!isReloadable(options, hasFile)) hangupMeans("stop");
  becomeUser(options.user);
  await using logs = new Logs(options, side);
  try {
    if (side === "proxy") await logs.logRequests();
    await serveAlone(stop.asked, side, options, logs.log, hasFile);
    return 0;
  } catch (error) {
    throw cannotRun(complaintOf(error), error);
  }
}

async function serveAlone(
  stopped: AbortSignal,
  side: SideName,
  options: Options,
  log: Log,
  hasFile: boolean,
): Promise<void> {
  if (side === "proxy") refuseOwnAddress(options);
  const credentials = await readCredentials(options);
  const sites = await OpenSites.open(options);
  try {
    const start = () => START[side]({ options, sites: sites.settings, credentials }, log);
    await serveUntil(stopped, start, (serving) => {
      const reload = new Reload({ options, sites }, log, (settings) => serving.configure(settings));
      if (isReloadable(options, hasFile)) hangupMeans(() => reload.ask());
      announceAlone(side, options, serving);
      warnOfRoot(log);
    });
  } finally {
    await sites.stop();
  }
}

function announceAlone(side: SideName, options: Options, { httpPort, getfilePort, httpsPort }: Serving): void {
  const http = httpPort === undefined ? "" : ` http=${addressText(options.host, httpPort)}`;
  const getfile = getfilePort === undefined ? "" : ` getfile=${addressText(options.host, getfilePort)}`;
  const https = httpsPort === undefined ? "" : ` https=${addressText(options.host, httpsPort)}`;
  printLine(`webproxy ${side} ready channel=${options.channel}${http}${getfile}${https} pid=${process.pid}`);
}
