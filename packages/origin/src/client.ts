import { createSecureContext } from "node:tls";
import { Fields, renderRequestHead, requestFraming } from "@proj/protocol";
import { ConnectionPool, type PoolStats } from "./connection-pool.ts";
import { Exchange, type OriginExchange, type OriginHandler, type OriginRequest } from "./exchange.ts";
import { DEFAULT_LIMITS, type OriginLimits } from "./limits.ts";
import type { OriginAddress } from "./origin-socket.ts";
import { RequestContent } from "./request-content.ts";
import { DEFAULT_TIMEOUTS, type OriginTimeouts } from "./timeouts.ts";

export interface OriginClientOptions {
  /** `http:` or `https:`; scheme, host and port count. Its path is not applied: targets are sent as they are. */
  origin: URL;
  limits?: Partial<OriginLimits>;
  timeouts?: Partial<OriginTimeouts>;
  /** For `https:`. `ca`: certificates in PEM, instead of the platform's, that the origin's has to be signed by. */
  tls?: { ca?: string | string[] };
}

/**
 * Asks one origin, as the HTTP/1.1 client side of an intermediary: what the origin sends is passed on as it was sent,
 * or refused; never repaired, never cut short in silence.
 *
 * Belongs to the thread that made it. Keeps connections open between exchanges within {@link OriginLimits}. A request
 * is sent again, once and on a new connection, only when its method is idempotent and the kept connection it went out
 * on closed before any octet came back (RFC 9110 section 9.2.2).
 *
 * Certificates and host names are always verified, whatever NODE_TLS_REJECT_UNAUTHORIZED says. A response over TLS
 * that ends by closing the connection fails with `ERR_ORIGIN_CUT_SHORT`: RFC 9112 section 9.8 calls it complete only
 * after a closure alert, which the platform does not report.
 *
 * @example
 * const client = new OriginClient({ origin: new URL("https://files.example.org") });
 * const exchange = client.send({ method: "GET", target: "/a.txt", fields: new Fields() }, {
 *   onHead: (head, framing) => start(head, framing),
 *   onContent: (chunk) => { if (!store(chunk)) exchange.pause(); },
 *   onEnd: () => finish(),
 *   onError: (error) => fail(error.code),
 * });
 */
export class OriginClient {
  readonly #origin: URL;
  readonly #pool: ConnectionPool;

  /** @throws {TypeError} An origin that is neither `http:` nor `https:`; a `ca` that holds no certificate. */
  constructor(options: OriginClientOptions) {
    this.#origin = options.origin;
    const limits = { ...DEFAULT_LIMITS, ...options.limits };
    const timeouts = { ...DEFAULT_TIMEOUTS, ...options.timeouts };
    this.#pool = new ConnectionPool(addressOf(options), limits, timeouts);
  }

  /**
   * Sends one request and reports its response to `handler`; see {@link OriginHandler} for the order of calls.
   *
   * @throws {TypeError} A request that this client can not send without changing what it means: a target in another
   *   form than origin-form, CONNECT, `Upgrade` without `offersUpgrade` or with content, or fields that frame content in a way that can not be sent, or that
   *   do not agree with `hasContent`.
   */
  send(request: OriginRequest, handler: OriginHandler): OriginExchange {
    const content = checkedContent(request);
    const { method } = request;
    const subject = `${method} ${this.#origin.origin}${request.target}`;
    const { offersUpgrade = false } = request;
    const head = this.#renderHead(request);
    const exchange = new Exchange({ method, head, content, offersUpgrade, subject }, handler);
    this.#pool.send(exchange);
    return exchange;
  }

  stats(): PoolStats {
    return this.#pool.stats();
  }

  /** Closes all connections. Exchanges under way, and any sent from now on, fail with `ERR_ORIGIN_CLOSED`. */
  close(): void {
    this.#pool.close();
  }

  #renderHead({ method, target, fields }: OriginRequest): string {
    if (fields.has("host")) return renderRequestHead(method, target, fields);
    // RFC 9110 section 7.2: first, so that the origin sees it first.
    return renderRequestHead(method, target, Fields.from([["Host", this.#origin.host], ...fields]));
  }
}

/** How the content of `request` goes out; `undefined` when it has none. */
function checkedContent(request: OriginRequest): RequestContent | undefined {
  const { method, target, fields, hasContent = false, offersUpgrade = false } = request;
  const problem = (text: string) => new TypeError(`Cannot send ${method} ${JSON.stringify(target)}: ${text}`);
  if (!target.startsWith("/") && !(method === "OPTIONS" && target === "*"))
    throw problem("the target is not in origin-form");
  if (method === "CONNECT") throw problem("CONNECT is not this client's");
  if (fields.has("upgrade") !== offersUpgrade)
    throw problem("its fields and `offersUpgrade` do not agree about Upgrade");
  if (offersUpgrade && hasContent) throw problem("an Upgrade is not offered with content");
  if (!hasContent && !fields.has("content-length") && !fields.has("transfer-encoding")) return undefined;
  const framing = requestFraming({ kind: "request", method, target, minorVersion: 1, fields, headBytes: 0 });
  if (framing.kind === "malformed") throw problem(`its framing is malformed (${framing.reason})`);
  const isFramed = framing.kind === "length" || framing.kind === "chunked";
  if (isFramed && !hasContent) throw problem("its fields announce content, and it has none");
  if (!isFramed && hasContent) throw problem("its fields do not say how its content ends");
  return isFramed ? new RequestContent(framing) : undefined;
}

function addressOf({ origin, tls }: OriginClientOptions): OriginAddress {
  const hostname = origin.hostname.replace(/^\[(.*)\]$/, "$1"); // an IPv6 address, as connect() wants it
  if (origin.protocol === "http:") return { hostname, port: Number(origin.port || 80) };
  if (origin.protocol !== "https:") {
    throw new TypeError(`Cannot speak to the origin ${origin.href}: neither http: nor https:`);
  }
  checkCertificates(tls?.ca);
  // RFC 7301: one octet of length, then the protocol's name.
  const ALPNProtocols = "\x08http/1.1";
  return { hostname, port: Number(origin.port || 443), tls: { ...tls, rejectUnauthorized: true, ALPNProtocols } };
}

function checkCertificates(ca: string | string[] | undefined): void {
  try {
    createSecureContext({ ca });
  } catch (error) {
    throw new TypeError("Cannot verify the origin by the given certificates: they are not in PEM", { cause: error });
  }
}
