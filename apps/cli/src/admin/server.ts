import { addressText } from "../address-text.ts";
import { cannotRun, errorCode } from "../command-error.ts";
import { type AdminOptions, LateAdmin } from "./late-admin.ts";

export interface AdminServer {
  readonly host: string;
  readonly port: number;
  /** From now on it sees what the channel's processes do: not before they serve, since until then what has the channel's names may be another user's. */
  watch(): void;
  /** Ends it and its connections at once. */
  stop(): Promise<void>;
}

/**
 * Listens for the admin API. What answers is loaded with the first request, or when it is told to {@link AdminServer.watch}: 15 ms that nobody who starts should wait for.
 *
 * @throws {CommandError} Exit code 1: the address or the port is not to be had.
 */
export function startAdmin({ port, ...options }: AdminOptions & { port: number }): AdminServer {
  const { host } = options;
  const admin = new LateAdmin(options);
  try {
    // Said aloud: Bun 1.4.5 sets SO_REUSEPORT when development is off, and two supervisors would share the port unnoticed.
    const exclusive = { hostname: host, port, development: false, reusePort: false } as const;
    const server = Bun.serve({ ...exclusive, fetch: (request) => admin.answer(request) });
    return {
      host,
      port: server.port ?? port,
      watch: () => admin.watch(),
      async stop() {
        admin.stop();
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
