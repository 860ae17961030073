import { runThread } from "../src/index.ts";

/** A thread that does what its options say: how a start, a stop and an end can go. */
runThread<{ how: string }, string>(async ({ how }, log) => {
  log({ level: "info", message: `starting ${how}` });
  if (how === "refuse") throw Object.assign(new Error("Cannot start: told to refuse"), { code: "ERR_TOLD" });
  if (how === "throw later")
    setTimeout(() => {
      throw new Error("thrown later");
    }, 20);
  if (how === "reject later") setTimeout(() => void Promise.reject(new Error("rejected later")), 20);
  if (how === "exit") setTimeout(() => process.exit(0), 20);
  return {
    result: `started ${how}`,
    stop: () => (how === "never stop" ? new Promise<void>(() => {}) : Promise.resolve()),
  };
});
