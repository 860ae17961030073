// Asks the origin named on the command line with a handler that throws, and would wait for ever if that were swallowed.
import { Fields } from "@proj/protocol";
import { OriginClient } from "../src/index.ts";

new OriginClient({ origin: new URL(process.argv[2]!) }).send(
  { method: "GET", target: "/", fields: new Fields() },
  {
    onHead() {},
    onContent() {
      throw new Error("thrown by a handler");
    },
    onEnd() {},
    onError() {},
  },
);
setInterval(() => {}, 1000);
