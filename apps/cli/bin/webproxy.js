// The repository runs its sources; the packed package holds the bundle instead (see build.ts).
import { existsSync } from "node:fs";

const sources = new URL("../src/main.ts", import.meta.url);
const bundle = new URL("../dist/main.js", import.meta.url);
await import(existsSync(sources) ? sources.href : bundle.href);
