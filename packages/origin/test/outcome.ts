import type { Framing, ResponseHead } from "@proj/protocol";
import { Fields } from "@proj/protocol";
import type { OriginClient, OriginError } from "../src/index.ts";

/** All that a handler was told, when the exchange is over. */
export interface Outcome {
  informational: ResponseHead[];
  head: ResponseHead | undefined;
  framing: Framing | undefined;
  /** latin1 */
  content: string;
  trailers: Fields | undefined;
  error: OriginError | undefined;
  /** The names of the calls in order, repeats of onContent left out. */
  calls: string[];
}

/** Sends one request and waits for the end of it. Fails when the handler is called out of order. */
export function outcomeOf(
  client: OriginClient,
  request: { method?: string; target?: string; fields?: Fields } = {},
): Promise<Outcome> {
  const { promise, resolve, reject } = Promise.withResolvers<Outcome>();
  const outcome: Outcome = {
    informational: [],
    head: undefined,
    framing: undefined,
    content: "",
    trailers: undefined,
    error: undefined,
    calls: [],
  };
  let isOver = false;
  const called = (name: string, isLast = false) => {
    if (isOver) reject(new Error(`${name} was called after the end: ${outcome.calls.join(" ")}`));
    if (outcome.calls.at(-1) !== name || name !== "onContent") outcome.calls.push(name);
    isOver = isLast;
  };
  client.send(
    { method: request.method ?? "GET", target: request.target ?? "/", fields: request.fields ?? new Fields() },
    {
      onInformational(head) {
        called("onInformational");
        outcome.informational.push(head);
      },
      onHead(head, framing) {
        called("onHead");
        outcome.head = head;
        outcome.framing = framing;
      },
      onContent(chunk) {
        called("onContent");
        outcome.content += Buffer.from(chunk).toString("latin1");
        chunk.fill(0x21); // it is valid during the call only: whoever kept it would see this
      },
      onEnd(trailers) {
        called("onEnd", true);
        outcome.trailers = trailers;
        resolve(outcome);
      },
      onError(error) {
        called("onError", true);
        outcome.error = error;
        resolve(outcome);
      },
    },
  );
  return promise;
}
