/**
 * One request that goes straight to the origin, and its response, as a pure state machine. Both halves move at the same time: an origin may answer
 * before it has all of the request, and goes on reading it or does not.
 */
export type PassExchange =
  | { phase: "exchanging"; request: "receiving" | "whole"; response: "awaited" | "begun" | "whole" }
  /** After 101: octets of another protocol pass both ways. `originEnded`: what it sent is on its way out still. */
  | { phase: "tunnelling"; originEnded: boolean }
  | { phase: "done"; outcome: PassOutcome };

export type PassOutcome =
  /** The whole response went out. `requestWhole`: and what follows on the connection is the next request. */
  | { kind: "sent"; requestWhole: boolean }
  /** Nothing of a final response went out: the client is told why in a response of ours. `requestWhole` as above. */
  | { kind: "refused"; requestWhole: boolean }
  /** Something went out and the rest will not come. */
  | { kind: "aborted" }
  | { kind: "client-left" };

export type PassEvent =
  | { type: "request-whole" }
  /** What came is no content by its framing, or it ended before its end, or came too slowly. */
  | { type: "request-failed" }
  | { type: "head" }
  /** Nothing of the response has gone out, and nothing will. */
  | { type: "taken-back" }
  | { type: "switched" }
  /** The response has come to its end; in a tunnel: the origin sends no more. */
  | { type: "origin-ended" }
  | { type: "origin-failed" }
  /** The kernel has taken everything that there was for the client. */
  | { type: "delivered" }
  | { type: "client-left" };

export function newPassExchange(hasContent: boolean): PassExchange {
  return { phase: "exchanging", request: hasContent ? "receiving" : "whole", response: "awaited" };
}

/** What holds after `event`. The caller does the I/O that the new phase asks for. */
export function step(exchange: PassExchange, event: PassEvent): PassExchange {
  if (event.type === "client-left") return { phase: "done", outcome: { kind: "client-left" } };
  switch (exchange.phase) {
    case "exchanging":
      return stepExchanging(exchange, event);
    case "tunnelling":
      if (event.type === "origin-ended") return { phase: "tunnelling", originEnded: true };
      if (event.type === "origin-failed") return { phase: "done", outcome: { kind: "aborted" } };
      if (event.type === "delivered" && exchange.originEnded) return sent(false);
      break;
  }
  throw new Error(`Cannot take "${event.type}" in phase "${exchange.phase}"`);
}

function stepExchanging(exchange: Extract<PassExchange, { phase: "exchanging" }>, event: PassEvent): PassExchange {
  const { request, response } = exchange;
  switch (event.type) {
    case "request-whole":
      if (request === "receiving") return { phase: "exchanging", request: "whole", response };
      break;
    case "request-failed":
      if (request === "receiving") return failed(request, response);
      break;
    case "head":
      if (response === "awaited") return { phase: "exchanging", request, response: "begun" };
      break;
    case "taken-back":
      if (response !== "awaited") return { phase: "exchanging", request, response: "awaited" };
      break;
    case "switched":
      if (response === "awaited" && request === "whole") return { phase: "tunnelling", originEnded: false };
      break;
    case "origin-ended":
      if (response === "begun") return { phase: "exchanging", request, response: "whole" };
      break;
    case "origin-failed":
      if (response !== "whole") return failed(request, response);
      break;
    case "delivered":
      if (response === "whole") return sent(request === "whole");
      break;
  }
  throw new Error(`Cannot take "${event.type}" with the request ${request} and the response ${response}`);
}

function sent(requestWhole: boolean): PassExchange {
  return { phase: "done", outcome: { kind: "sent", requestWhole } };
}

/** Nothing of the response has gone out, or something: only an abort tells the client then. A whole response is broken off as well: it is not all out. */
function failed(request: "receiving" | "whole", response: "awaited" | "begun" | "whole"): PassExchange {
  if (response !== "awaited") return { phase: "done", outcome: { kind: "aborted" } };
  return { phase: "done", outcome: { kind: "refused", requestWhole: request === "whole" } };
}
