import { OriginClient } from "../src/index.ts";
import { type ScriptedConnection, scriptedOrigin } from "./scripted-origin.ts";

/** A client of a scripted origin; both are gone when `run` is. */
export async function withOrigin(
  script: (connection: ScriptedConnection, request: string) => void,
  run: (client: OriginClient, origin: ReturnType<typeof scriptedOrigin>) => Promise<void>,
  options: Omit<ConstructorParameters<typeof OriginClient>[0], "origin"> = {},
): Promise<void> {
  using origin = scriptedOrigin(script);
  const client = new OriginClient({ origin: origin.url, ...options });
  try {
    await run(client, origin);
  } finally {
    client.close();
  }
}
