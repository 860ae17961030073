import { objectName, SegmentPool } from "../src/index.ts";
import { armCrash } from "./crash-points.ts";

// One life of a pool's user that goes through every kind of critical section, killed at the step its argument names.
const [prefixText, what, fatal, deadSlot] = process.argv.slice(2);
const prefix = objectName(prefixText!);

if (what === "create") {
  const steps = armCrash(Number(fatal));
  const pool = SegmentPool.create(prefix, { segments: 3, segmentBytes: 4096 });
  pool.unlink();
  pool.close();
  console.log(steps());
} else {
  const pool = SegmentPool.open(prefix);
  const steps = armCrash(Number(fatal));
  const member = pool.join();
  const one = member.tryTake()!;
  const two = member.tryTake()!;
  const three = member.tryTake()!;
  member.giveBack(one);
  member.replace(two);
  pool.reclaimMember(Number(deadSlot));
  const all = [];
  for (let segment = member.tryTake(); segment !== undefined; segment = member.tryTake()) all.push(segment);
  const waiting = member.take({ timeoutMs: 1 });
  const served = member.take();
  await waiting;
  for (const segment of all) member.giveBack(segment);
  member.giveBack(three);
  member.giveBack((await served)!);
  member.tryTake();
  member.tryTake();
  pool.close();
  console.log(steps());
}
