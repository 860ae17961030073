import type { RequestHead } from "@proj/protocol";

const DECIDING = new Set([
  ...["cache-control", "pragma", "range", "authorization"],
  ...["if-match", "if-none-match", "if-modified-since", "if-unmodified-since", "if-range"],
]);

/** Whether a request says more than which resource it wants: then the cache decides. */
export function hasDecidingFields({ method, fields }: RequestHead): boolean {
  if (method !== "GET") return true;
  for (let index = 0; index < fields.length; index++) if (DECIDING.has(fields.lowerName(index))) return true;
  return false;
}

/** Whether the cache, where nothing is stored, would ask the origin for just this. */
export function mayPass({ method, fields }: RequestHead): boolean {
  return method === "GET" && !fields.has("cache-control") && !fields.has("pragma");
}
