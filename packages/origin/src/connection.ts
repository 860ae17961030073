import type { Framing } from "@proj/protocol";
import type { OriginFault } from "./errors.ts";
import { INFORMATIONAL_RESPONSES_MAX } from "./limits.ts";

/**
 * A connection to the origin and what it is at. `isFresh`: it was made for the request it carries or is about to
 * carry. One that is not was kept open without use, and the origin may be closing it at the very moment a request is
 * sent.
 *
 * ```
 * connecting ─► idle ─► awaiting-response ─► reading-head ─► reading-content ─► closed
 *                ▲                             └─ 1xx ─┘          │
 *                ├──────────────────────────── whole ─────────────┤
 *                └── resting ◄── whole, without content ──────────┘          any ─► closed
 *                                      reading-head ── 101 ─► tunnelling
 * ```
 */
export type Connection =
  | { phase: "connecting" }
  | { phase: "idle"; isFresh: boolean }
  | { phase: "resting"; isFresh: boolean }
  | { phase: "awaiting-response"; isFresh: boolean }
  | { phase: "reading-head"; isFresh: boolean; informational: number }
  | { phase: "reading-content"; isFresh: boolean; framing: Framing["kind"]; keepsAlive: boolean }
  /** Another protocol's from here on: octets pass both ways until the origin closes. */
  | { phase: "tunnelling" }
  | { phase: "closed"; outcome: ClosedOutcome };

/** What a connection's end means to the exchange on it, or to the one that waited for it. */
export type ClosedOutcome =
  /** There was none, or it was aborted. */
  | { kind: "unused" }
  /** It is whole; the connection can not carry another. */
  | { kind: "finished" }
  /** A reused connection closed before the first byte of an answer: the origin may not have seen the request. */
  | { kind: "stale" }
  | { kind: "failed"; fault: OriginFault; reason: string; headSeen: boolean };

export type ConnectionEvent =
  | { type: "connected" }
  /** It is idle, and nobody waits for it. */
  | { type: "parked" }
  | { type: "request-sent" }
  /** The first thing that every read from the socket is. */
  | { type: "bytes" }
  | { type: "informational-head" }
  /** The origin took the offer to switch protocols (RFC 9110 section 15.2.2). */
  | { type: "switched" }
  | { type: "final-head"; framing: Framing["kind"]; keepsAlive: boolean }
  /** The response is whole by its framing. `isClean`: nothing followed it, and the request had left whole. */
  | { type: "content-complete"; isClean: boolean }
  | { type: "rested" }
  /** `how` the peer closed: `end` in order (a FIN), `reset` in any other way. `isTls`: the session ended with it. */
  | { type: "peer-closed"; how: "end" | "reset"; isTls: boolean }
  | { type: "timed-out" }
  | { type: "failed"; fault: OriginFault; reason: string }
  /** This side wants no more of it. */
  | { type: "abandoned" };

/** What holds after `event`. The caller does the I/O that the new phase asks for. */
export function step(connection: Connection, event: ConnectionEvent): Connection {
  switch (event.type) {
    case "peer-closed":
      return afterPeerClosed(connection, event.how, event.isTls);
    case "timed-out":
      return afterTimeout(connection);
    case "failed":
      return failed(connection, event.fault, event.reason);
    case "abandoned":
      return UNUSED;
  }
  switch (connection.phase) {
    case "connecting":
      if (event.type === "connected") return FRESH.idle;
      break;
    case "idle":
      if (event.type === "request-sent") return phasesOf(connection).awaiting;
      if (event.type === "parked") return USED.idle;
      // Bytes that answer nothing: an answer that follows them could not be told apart from them.
      if (event.type === "bytes") return UNUSED;
      break;
    case "resting":
      if (event.type === "rested") return phasesOf(connection).idle;
      if (event.type === "bytes") return UNUSED;
      break;
    case "awaiting-response":
      if (event.type === "bytes") return phasesOf(connection).readingHead;
      break;
    case "reading-head":
      if (event.type === "bytes") return connection;
      if (event.type === "informational-head") return afterInformational(connection);
      if (event.type === "switched") return { phase: "tunnelling" };
      if (event.type !== "final-head") break;
      return {
        phase: "reading-content",
        isFresh: connection.isFresh,
        framing: event.framing,
        keepsAlive: event.keepsAlive,
      };
    case "reading-content":
      if (event.type === "bytes") return connection;
      if (event.type === "content-complete") return afterContent(connection, event.isClean);
      break;
    case "tunnelling":
      if (event.type === "bytes") return connection;
      break;
  }
  throw new Error(`Cannot take "${event.type}" in phase "${connection.phase}"`);
}

const HEAD_SEEN: ReadonlySet<Connection["phase"]> = new Set(["reading-content", "tunnelling"]);

/** Phases that say nothing of one connection alone are one object each: every exchange goes through them. */
interface CommonPhases {
  readonly idle: Connection;
  readonly resting: Connection;
  readonly awaiting: Connection;
  readonly readingHead: Connection;
}

const FRESH = commonPhases(true);
const USED = commonPhases(false);

function commonPhases(isFresh: boolean): CommonPhases {
  return {
    idle: { phase: "idle", isFresh },
    resting: { phase: "resting", isFresh },
    awaiting: { phase: "awaiting-response", isFresh },
    readingHead: { phase: "reading-head", isFresh, informational: 0 },
  };
}

function phasesOf({ isFresh }: { isFresh: boolean }): CommonPhases {
  return isFresh ? FRESH : USED;
}

const UNUSED: Connection = { phase: "closed", outcome: { kind: "unused" } };
const FINISHED: Connection = { phase: "closed", outcome: { kind: "finished" } };
const STALE: Connection = { phase: "closed", outcome: { kind: "stale" } };

function afterInformational(connection: Extract<Connection, { phase: "reading-head" }>): Connection {
  const informational = connection.informational + 1;
  if (informational > INFORMATIONAL_RESPONSES_MAX) {
    return failed(
      connection,
      "origin-malformed",
      `the origin sent more than ${INFORMATIONAL_RESPONSES_MAX} informational responses`,
    );
  }
  return { ...connection, informational };
}

function afterContent(connection: Extract<Connection, { phase: "reading-content" }>, isClean: boolean): Connection {
  if (!connection.keepsAlive || !isClean) return FINISHED;
  return connection.framing === "none" ? USED.resting : USED.idle;
}

function afterPeerClosed(connection: Connection, how: "end" | "reset", isTls: boolean): Connection {
  switch (connection.phase) {
    case "connecting":
      return failed(
        connection,
        isTls ? "origin-tls" : "origin-closed",
        "the origin closed the connection as it was being made",
      );
    case "idle":
    case "resting":
      return UNUSED;
    case "awaiting-response":
      if (!connection.isFresh) return STALE;
      return failed(connection, "origin-closed", "the origin closed the connection without an answer");
    case "reading-head":
      return failed(connection, "cut-short", "the origin closed the connection within the response's head");
    case "reading-content":
      if (connection.framing === "until-close" && how === "end" && !isTls) return FINISHED;
      return failed(connection, "cut-short", cutShort(connection.framing));
    case "tunnelling":
      if (how === "end") return FINISHED;
      return failed(connection, "cut-short", "the origin reset the connection after it had switched protocols");
    case "closed":
      return connection;
  }
}

function cutShort(framing: Framing["kind"]): string {
  if (framing !== "until-close") return "the origin closed the connection before its response was whole";
  // RFC 9112 section 9.8: complete only after a TLS closure alert, and the platform does not say whether there was one.
  return "the origin ended a response by closing the connection, and over TLS that may be an interruption";
}

function afterTimeout(connection: Connection): Connection {
  switch (connection.phase) {
    case "connecting":
      return failed(connection, "origin-unconnected", "the origin did not take the connection in time");
    case "awaiting-response":
    case "reading-head":
      return failed(connection, "origin-timeout", "the origin did not send a whole head in time");
    case "reading-content":
      return failed(connection, "origin-stalled", "the origin stopped sending within its response");
    case "idle":
    case "resting":
    case "tunnelling": // nobody times it here
    case "closed":
      return UNUSED;
  }
}

function failed(connection: Connection, fault: OriginFault, reason: string): Connection {
  return {
    phase: "closed",
    outcome: { kind: "failed", fault, reason, headSeen: HEAD_SEEN.has(connection.phase) },
  };
}
