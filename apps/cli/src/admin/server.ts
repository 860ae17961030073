import packageJson from "../../package.json" with { type: "json" };
import { addressText } from "../address-text.ts";
import { readChannel, readChannelStats } from "../channel-stats.ts";
import { cannotRun, errorCode } from "../command-error.ts";
import { LiveView, type TierLimits } from "../live/live-view.ts";
import { type AdminSources, adminApp, type ProcessViews } from "./app.ts";

export interface AdminServer {
  readonly host: string;
  readonly port: number;
  /** From now on it sees what the channel's processes do: not before they serve, since until then what has the channel's names may be another user's. */
  watch(): void;
  /** Ends it and its connections at once. */
  stop(): Promise<void>;
}

/**
 * Listens for the admin API.
 *
 * @throws {CommandError} Exit code 1: the address or the port is not to be had.
 */
export function startAdmin(options: {
  host: string;
  port: number;
  channel: string;
  processes: ProcessViews;
  purge: AdminSources["purge"];
  sharedStatus: AdminSources["sharedStatus"];
  limits: TierLimits;
  explaining: AdminSources["explaining"];
}): AdminServer {
  const { host, port, channel, processes, purge, sharedStatus, limits, explaining } = options;
  const readStats = () => readChannelStats(channel);
  // The metrics library is loaded when somebody asks for metrics: it takes as long as all the rest of the start.
  const renderMetrics = async () =>
    (await import("./metrics.ts")).renderMetrics(readChannel(channel), processes, sharedStatus());
  const live = new LiveView(channel);
  const about = { channel, version: packageJson.version, limits };
  const app = adminApp({ host, processes, readStats, purge, sharedStatus, renderMetrics, explaining, live, about });
  try {
    // Said aloud: Bun 1.4.5 sets SO_REUSEPORT when development is off, and two supervisors would share the port unnoticed.
    const exclusive = { hostname: host, port, development: false, reusePort: false } as const;
    const server = Bun.serve({ ...exclusive, fetch: (request) => app.fetch(request) });
    return {
      host,
      port: server.port ?? port,
      watch: () => live.start(),
      async stop() {
        live.stop();
        await server.stop(true);
      },
    };
  } catch (error) {
    const code = errorCode(error) ?? "unknown error";
    throw cannotRun(
      `Cannot listen on ${addressText(host, port)} for the admin API: ${code}; give another --admin-port (0 takes a free one) or --admin-host, or stop who listens there`,
      error,
    );
  }
}
