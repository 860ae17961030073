import { expect, test } from "bun:test";
import { watchdog } from "./names.ts";

test("The soak, short: kills leave the pool whole, the mutex usable, and nothing that clean() does not find", async () => {
  const soak = Bun.spawn([process.execPath, `${import.meta.dir}/soak.ts`, "--kills", "60"], { stderr: "inherit" });
  try {
    const output = await watchdog(new Response(soak.stdout).text(), "the soak", 100_000);
    console.log(output);
    expect(await soak.exited).toBe(0);
  } finally {
    soak.kill("SIGTERM");
  }
}, 120_000);
