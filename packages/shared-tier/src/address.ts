/** Where the engine is: any of its hosts answers for all of them, be they a cluster's nodes or Sentinels. */
export interface SharedAddress {
  readonly hosts: readonly { readonly host: string; readonly port: number }[];
  readonly isTls: boolean;
  readonly username: string | undefined;
  readonly password: string | undefined;
}

const DEFAULT_PORT = 6379;
const SHAPE = /^(rediss?):\/\/(?:([^@/]*)@)?([^@/]+)\/?$/;
const HOST = /^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)(?::(\d{1,5}))?$/;

/** `redis://[user:password@]host[:port][,host[:port]]`, `rediss` for TLS; undefined when it is none. */
export function parseSharedAddress(text: string): SharedAddress | undefined {
  const shape = SHAPE.exec(text);
  if (shape === null) return undefined;
  const [, scheme, credentials, list = ""] = shape;
  const hosts = list.split(",").map(parseHost);
  if (!hosts.every((host) => host !== undefined)) return undefined;
  const [username, password] = credentials === undefined ? [] : parseCredentials(credentials);
  return { hosts, isTls: scheme === "rediss", username, password };
}

/** Its hosts, without the credentials: for messages. */
export function describeAddress({ hosts, isTls }: SharedAddress): string {
  const list = hosts.map(({ host, port }) => `${host.includes(":") ? `[${host}]` : host}:${port}`);
  return `${isTls ? "rediss" : "redis"}://${list.join(",")}`;
}

function parseHost(text: string): { host: string; port: number } | undefined {
  const match = HOST.exec(text);
  if (match === null) return undefined;
  const port = match[2] === undefined ? DEFAULT_PORT : Number(match[2]);
  if (port < 1 || port > 65_535) return undefined;
  return { host: match[1]!.replace(/^\[(.*)\]$/, "$1"), port };
}

/** `user:password`, `:password` for the default user. */
function parseCredentials(text: string): [string | undefined, string | undefined] {
  const colon = text.indexOf(":");
  const user = colon < 0 ? text : text.slice(0, colon);
  const password = colon < 0 ? undefined : decode(text.slice(colon + 1));
  return [user === "" ? undefined : decode(user), password];
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
