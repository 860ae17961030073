import type { Context } from "hono";
import { type SSEStreamingApi, streamSSE } from "hono/streaming";
import type { LiveView, TierLimits } from "../live/live-view.ts";
import type { AdminSources } from "./app.ts";
import { secondMessage, startMessage } from "./live-message.ts";

/** Dashboards at a time: each costs the supervisor some work every second. */
const STREAMS_MAX = 32;
/** Requests that one message names: a page shows no more in a second than somebody could read in a minute. */
const REQUESTS_PER_SECOND_MAX = 60;

let streams = 0;

/** A dashboard's stream of server-sent events: `start` once, then `second` each second, until it goes away. */
export function liveStream(
  context: Context,
  live: LiveView,
  about: { channel: string; version: string; limits: TierLimits },
  sources: Pick<AdminSources, "processes" | "sharedStatus">,
): Response | Promise<Response> {
  if (streams >= STREAMS_MAX) return context.json({ error: `${STREAMS_MAX} dashboards are open already` }, 503);
  return streamSSE(context, async (stream) => {
    streams++;
    try {
      await stream.writeSSE({ event: "start", data: JSON.stringify(startMessage(live, about)) });
      await follow(stream, live, sources);
    } finally {
      streams--;
    }
  });
}

async function follow(
  stream: SSEStreamingApi,
  live: LiveView,
  { processes, sharedStatus }: Pick<AdminSources, "processes" | "sharedStatus">,
): Promise<void> {
  const gone = Promise.withResolvers<void>();
  let seen = 0;
  let isWriting = false;
  const send = async (state: Parameters<typeof secondMessage>[0]) => {
    if (isWriting) return; // who does not keep up misses a second rather than making us keep it
    isWriting = true;
    const { entries, seen: seenNow } = live.requestsSince(seen, REQUESTS_PER_SECOND_MAX);
    seen = seenNow;
    const message = secondMessage(state, entries, processes, sharedStatus());
    await stream.writeSSE({ event: "second", data: JSON.stringify(message) });
    isWriting = false;
  };
  const stop = live.eachSecond((state) => void send(state()));
  stream.onAbort(() => gone.resolve());
  await send(live.state());
  await gone.promise;
  stop();
}
