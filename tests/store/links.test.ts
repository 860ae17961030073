/** A symbolic link in a store's directory leads nowhere: nothing is written or removed behind it. */
import { expect, test } from "bun:test";
import { mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { TempDirectory } from "../support/temp-directory.ts";
import { Webproxy } from "../support/webproxy.ts";

test("a link in the place of a store's directory: webproxy says which and does not start, and what is behind it stays", async () => {
  for (const name of ["incoming", "03"]) {
    using directory = new TempDirectory();
    const store = directory.file("store");
    const others = join(directory.file("others"), "0");
    mkdirSync(store);
    mkdirSync(others, { recursive: true });
    writeFileSync(join(others, "1"), "mine");
    symlinkSync(directory.file("others"), join(store, name));
    const options = { origin: "demo", args: ["--cache-dir", store] };
    const refused = await Webproxy.refusal(options);
    expect(refused).toMatchObject({ exitCode: 1 });
    expect(refused.stderr).toContain(`${name}" is a symbolic link, which is not followed; remove it`);
    expect(readdirSync(others)).toEqual(["1"]);
    rmSync(join(store, name));
    await using webproxy = await Webproxy.start(options);
    expect((await webproxy.stats()).restarts).toEqual({ proxy: 0, cache: 0 });
  }
}, 60_000);
