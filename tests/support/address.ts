/** Where a listener is. */
export interface Address {
  host: string;
  port: number;
}

/** From `127.0.0.1:8080`. */
export function parseAddress(text: string): Address {
  const colon = text.lastIndexOf(":");
  return { host: text.slice(0, colon).replace(/^\[|\]$/g, ""), port: Number(text.slice(colon + 1)) };
}
