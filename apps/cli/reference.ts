import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { renderReference } from "./src/config-reference.ts";

/** Writes the configuration reference into docs/ (`bun run docs:reference`). */
writeFileSync(join(import.meta.dir, "../../docs/configuration-reference.md"), renderReference());
