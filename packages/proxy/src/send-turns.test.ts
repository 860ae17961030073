import { expect, test } from "bun:test";
import { type LargeSender, SendTurns } from "./send-turns.ts";

function setUp() {
  const clock = { nowMs: 1000 };
  const turns = new SendTurns(() => clock.nowMs);
  const came: number[] = [];
  const senders = Array.from({ length: 8 }, (_, index): LargeSender => ({ turnCame: () => came.push(index) }));
  return { clock, turns, came, senders };
}

/** With what still waits gone, no timer of it goes on. */
function leave(turns: SendTurns, senders: readonly LargeSender[]): void {
  for (const sender of senders) turns.end(sender);
  turns.look();
}

test("SendTurns.ask() lets four go at once and the rest in order, as turns end", () => {
  const { turns, came, senders } = setUp();
  for (const sender of senders) turns.ask(sender);
  expect(came).toEqual([0, 1, 2, 3]);
  expect([turns.keepsWaiting(senders[3]!), turns.keepsWaiting(senders[4]!)]).toEqual([false, true]);
  turns.end(senders[2]!);
  turns.end(senders[5]!); // left while it waited
  turns.end(senders[0]!);
  expect(came).toEqual([0, 1, 2, 3, 4, 6]);
  leave(turns, senders);
});

test("SendTurns: who ends within its turn does not keep the next from his", () => {
  const { turns, came } = setUp();
  const quick = Array.from({ length: 10_000 }, (_, index): LargeSender => {
    const sender = {
      turnCame() {
        came.push(index);
        turns.end(sender);
      },
    };
    return sender;
  });
  const slow = Array.from({ length: 4 }, (): LargeSender => ({ turnCame() {} }));
  for (const sender of [...slow, ...quick]) turns.ask(sender);
  expect(came).toEqual([]);
  turns.end(slow[0]!);
  expect(came).toEqual(quick.map((_, index) => index));
  leave(turns, slow);
});

test("SendTurns.look() takes the turn from who does not get on, and keeps nobody waiting for longer than that", () => {
  const { clock, turns, came, senders } = setUp();
  for (const sender of senders.slice(0, 6)) turns.ask(sender);
  clock.nowMs += 19;
  for (const sender of senders.slice(0, 4)) turns.gotOn(sender);
  turns.ask(senders[6]!);
  turns.look();
  expect(came).toEqual([0, 1, 2, 3]);
  clock.nowMs += 1;
  turns.look(); // 4 and 5 have waited 20 ms, though four still get on
  expect(came).toEqual([0, 1, 2, 3, 4, 5]);
  turns.gotOn(senders[0]!);
  turns.gotOn(senders[1]!);
  clock.nowMs += 19;
  turns.look(); // 2 and 3 have lost their turns; 6 has waited for one
  expect(came).toEqual([0, 1, 2, 3, 4, 5, 6]);
  turns.gotOn(senders[2]!); // goes on without
  turns.end(senders[2]!);
  turns.ask(senders[7]!);
  expect(came).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
  leave(turns, senders);
});
