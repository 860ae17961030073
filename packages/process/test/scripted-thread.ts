import { runThread } from "../src/index.ts";

/** A thread that does what its options say: how a start, a stop and an end can go. */
runThread<{ how: string }, string, number, number>(async ({ how }, log) => {
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
    answer: (question) => {
      if (how === "exit when asked") process.exit(0);
      if (question < 0) throw Object.assign(new Error("Cannot halve less than nothing"), { code: "ERR_TOLD" });
      return question / 2;
    },
    stop: () => (how === "never stop" ? new Promise<void>(() => {}) : Promise.resolve()),
  };
});
