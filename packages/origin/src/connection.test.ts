import { describe, expect, test } from "bun:test";
import { type Connection, type ConnectionEvent, step } from "./connection.ts";
import { INFORMATIONAL_RESPONSES_MAX } from "./limits.ts";

const CONNECTING: Connection = { phase: "connecting" };
const PEER_ENDED: ConnectionEvent = { type: "peer-closed", how: "end", isTls: false };
const PEER_RESET: ConnectionEvent = { type: "peer-closed", how: "reset", isTls: false };
const WHOLE: ConnectionEvent = { type: "content-complete", isClean: true };

function finalHead(framing: "none" | "length" | "chunked" | "until-close", keepsAlive = true): ConnectionEvent {
  return { type: "final-head", framing, keepsAlive };
}

function after(...events: ConnectionEvent[]): Connection {
  return events.reduce(step, CONNECTING);
}

const ASKED: ConnectionEvent[] = [{ type: "connected" }, { type: "request-sent" }];
const READING: ConnectionEvent[] = [...ASKED, { type: "bytes" }];
const KEPT: ConnectionEvent[] = [...READING, finalHead("length"), WHOLE];

describe("step()", () => {
  test("a whole exchange leaves a connection that is idle and no longer fresh", () => {
    expect(after({ type: "connected" })).toEqual({ phase: "idle", isFresh: true });
    expect(after(...KEPT)).toEqual({ phase: "idle", isFresh: false });
    expect(after({ type: "connected" }, { type: "parked" })).toEqual({ phase: "idle", isFresh: false });
  });

  test("a response without content rests its connection first", () => {
    const resting = after(...READING, finalHead("none"), WHOLE);
    expect(resting).toEqual({ phase: "resting", isFresh: false });
    expect(step(resting, { type: "rested" })).toEqual({ phase: "idle", isFresh: false });
    expect(step(resting, { type: "bytes" })).toMatchObject({ phase: "closed", outcome: { kind: "unused" } });
  });

  test("a response that ends its connection, or that more bytes follow, leaves none", () => {
    const finished = { phase: "closed", outcome: { kind: "finished" } };
    expect(after(...READING, finalHead("length", false), WHOLE)).toMatchObject(finished);
    expect(after(...READING, finalHead("chunked"), { type: "content-complete", isClean: false })).toMatchObject(
      finished,
    );
  });

  test("only a reused connection that closes before the first byte is stale", () => {
    const stale = { phase: "closed", outcome: { kind: "stale" } };
    for (const close of [PEER_ENDED, PEER_RESET]) {
      expect(after(...KEPT, { type: "request-sent" }, close)).toMatchObject(stale);
      expect(after({ type: "connected" }, { type: "parked" }, { type: "request-sent" }, close)).toMatchObject(stale);
      for (const events of [ASKED, READING, [...KEPT, { type: "request-sent" } as const, { type: "bytes" } as const]]) {
        const fault = events === ASKED ? "origin-closed" : "cut-short";
        expect(after(...events, close)).toMatchObject({ outcome: { kind: "failed", fault, headSeen: false } });
      }
    }
  });

  test("only a body that runs until close, in order and not over TLS, is ended by a close", () => {
    const cutShort = { outcome: { kind: "failed", fault: "cut-short", headSeen: true } };
    expect(after(...READING, finalHead("until-close"), PEER_ENDED)).toMatchObject({ outcome: { kind: "finished" } });
    expect(after(...READING, finalHead("until-close"), PEER_RESET)).toMatchObject(cutShort);
    expect(after(...READING, finalHead("until-close"), { ...PEER_ENDED, isTls: true })).toMatchObject(cutShort);
    expect(after(...READING, finalHead("length"), PEER_ENDED)).toMatchObject(cutShort);
    expect(after(...READING, finalHead("chunked"), PEER_ENDED)).toMatchObject(cutShort);
  });

  test("a close or a time-out while nobody waits concerns nobody", () => {
    const unused = { phase: "closed", outcome: { kind: "unused" } };
    for (const event of [PEER_ENDED, PEER_RESET, { type: "timed-out" }, { type: "bytes" }] as const) {
      expect(after(...KEPT, event)).toMatchObject(unused);
    }
  });

  test("a time-out says what for, and whether the head was seen", () => {
    const timedOut: ConnectionEvent = { type: "timed-out" };
    expect(after(timedOut)).toMatchObject({ outcome: { fault: "origin-unconnected", headSeen: false } });
    expect(after(...READING, timedOut)).toMatchObject({ outcome: { fault: "origin-timeout", headSeen: false } });
    expect(after(...READING, finalHead("length"), timedOut)).toMatchObject({
      outcome: { fault: "origin-stalled", headSeen: true },
    });
  });

  test("informational responses are limited in number", () => {
    let connection = after(...READING);
    for (let i = 0; i < INFORMATIONAL_RESPONSES_MAX; i++) connection = step(connection, { type: "informational-head" });
    expect(connection.phase).toBe("reading-head");
    expect(step(connection, { type: "informational-head" })).toMatchObject({
      outcome: { fault: "origin-malformed" },
    });
  });

  test("throws for what the driver must never report", () => {
    expect(() => after({ type: "bytes" })).toThrow();
    expect(() => after({ type: "connected" }, WHOLE)).toThrow();
    expect(() => after(...ASKED, { type: "request-sent" })).toThrow();
    expect(() => after({ type: "abandoned" }, { type: "bytes" })).toThrow();
  });
});
