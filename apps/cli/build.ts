import { rmSync } from "node:fs";
import { dirname, join } from "node:path";

/**
 * Bundles the command for packing (`bun pm pack` runs this): dist/main.js, and beside it each Worker's entry, which the packages
 * look for next to the file they are bundled into. Everything they import is inside, so the packed package has no dependencies.
 */
const root = import.meta.dir;
const dist = join(root, "dist");
const entrypoints = [
  join(root, "src", "main.ts"),
  workerEntry("@proj/cache", "shard-thread.ts"),
  workerEntry("@proj/proxy", "proxy-thread.ts"),
];

rmSync(dist, { recursive: true, force: true });
const built = await Bun.build({
  entrypoints,
  outdir: dist,
  target: "bun",
  // Commands load their code when they are run: that code is in chunks of its own.
  splitting: true,
  naming: { entry: "[name].js", chunk: "chunk-[hash].js" },
  sourcemap: "none",
  throw: false,
});
for (const message of built.logs) console.error(String(message));
if (!built.success) process.exit(1);
console.log(built.outputs.map(({ path, size }) => `${path.slice(root.length + 1)}  ${size} bytes`).join("\n"));

function workerEntry(packageName: string, file: string): string {
  return join(dirname(Bun.resolveSync(packageName, root)), file);
}
