/** A field name that the parser gives out as a string that exists already, with its lower case. */
export interface KnownName {
  readonly name: string;
  readonly lowerName: string;
  readonly octets: Uint8Array;
}

/**
 * The names that ordinary clients and origins send. Most fields of most messages are among them; for those a head is
 * parsed without a new string for the name, and looked up without a new one for its lower case, which takes half of the
 * time of a head that is parsed, looked up and filtered. Any other name works the same, only slower.
 */
const COMMON_NAMES = [
  ...["Accept", "Accept-Encoding", "Accept-Language", "Accept-Ranges", "Age", "Allow", "Alt-Svc", "Authorization"],
  ...["Access-Control-Allow-Origin", "Access-Control-Allow-Credentials", "Access-Control-Expose-Headers"],
  ...["Cache-Control", "Cache-Status", "CDN-Cache-Control", "Connection", "Content-Disposition", "Content-Encoding"],
  ...["Content-Language", "Content-Length", "Content-Location", "Content-Range", "Content-Security-Policy"],
  ...["Content-Type", "Cookie", "Date", "DNT", "ETag", "Expect", "Expires", "Forwarded", "From", "Host"],
  ...["If-Match", "If-Modified-Since", "If-None-Match", "If-Range", "If-Unmodified-Since", "Keep-Alive"],
  ...["Last-Modified", "Link", "Location", "Origin", "Pragma", "Priority", "Proxy-Connection", "Range", "Referer"],
  ...["Referrer-Policy", "Retry-After", "Sec-CH-UA", "Sec-CH-UA-Mobile", "Sec-CH-UA-Platform", "Sec-Fetch-Dest"],
  ...["Sec-Fetch-Mode", "Sec-Fetch-Site", "Sec-Fetch-User", "Sec-WebSocket-Accept", "Sec-WebSocket-Key"],
  ...["Sec-WebSocket-Protocol", "Sec-WebSocket-Version", "Server", "Server-Timing", "Set-Cookie"],
  ...["Strict-Transport-Security", "TE", "Timing-Allow-Origin", "Trailer", "Transfer-Encoding", "Upgrade"],
  ...["Upgrade-Insecure-Requests", "User-Agent", "Vary", "Via", "WWW-Authenticate", "X-Cache"],
  ...["X-Content-Type-Options", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Frame-Options"],
  ...["X-Powered-By", "X-Real-IP", "X-Request-ID", "X-Requested-With", "X-XSS-Protection"],
];

const NAME_BYTES_MAX = 32;

/** By length and first octet: few enough in each place to be tried one after the other. */
const BY_LENGTH_AND_FIRST: (KnownName[] | undefined)[] = new Array<undefined>((NAME_BYTES_MAX + 1) * 128).fill(
  undefined,
);

for (const name of COMMON_NAMES) {
  const lowerName = name.toLowerCase();
  for (const spelling of new Set([name, lowerName])) addSpelling(spelling, lowerName);
}

function addSpelling(name: string, lowerName: string): void {
  const place = placeOf(name.length, name.charCodeAt(0));
  const known = { name, lowerName, octets: new Uint8Array(Buffer.from(name, "latin1")) };
  BY_LENGTH_AND_FIRST[place] = [...(BY_LENGTH_AND_FIRST[place] ?? []), known];
}

function placeOf(nameBytes: number, firstOctet: number): number {
  return nameBytes * 128 + firstOctet;
}

/** The known name that `bytes[start..end)` spells, octet for octet; `undefined` for any other, which must be a token. */
export function knownName(bytes: Uint8Array, start: number, end: number): KnownName | undefined {
  const nameBytes = end - start;
  if (nameBytes > NAME_BYTES_MAX) return undefined;
  const candidates = BY_LENGTH_AND_FIRST[placeOf(nameBytes, bytes[start]!)];
  if (candidates === undefined) return undefined;
  for (let i = 0; i < candidates.length; i++) {
    const { octets } = candidates[i]!;
    let same = 1;
    while (same < nameBytes && octets[same] === bytes[start + same]) same++;
    if (same === nameBytes) return candidates[i];
  }
  return undefined;
}
