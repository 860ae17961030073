import { Fields } from "@proj/protocol";
import { ConnectionPool, type PoolStats, sumOf } from "./connection-pool.ts";
import { codeOf, type OriginErrorCode } from "./errors.ts";
import {
  type Dispatcher,
  Exchange,
  type ExchangeFailure,
  type OriginExchange,
  type OriginHandler,
  type OriginRequest,
} from "./exchange.ts";
import type { OriginNews } from "./health-news.ts";
import { ATTEMPTS_MAX, DEFAULT_LIMITS, type OriginLimits } from "./limits.ts";
import { DEFAULT_RESTS, OriginHealth, type OriginRests } from "./origin-health.ts";
import type { OriginAddress } from "./origin-socket.ts";
import { PreparedRequest } from "./prepared-request.ts";
import { type Member, Rotation } from "./rotation.ts";
import { DEFAULT_TIMEOUTS, type OriginTimeouts } from "./timeouts.ts";

export interface OriginClientOptions {
  /**
   * `http:` or `https:`; scheme, host and port count. Its path is not applied: targets are sent as they are. Several: origins that stand for each other,
   * each with connections within `limits`.
   */
  origin: URL | readonly URL[];
  limits?: Partial<OriginLimits>;
  timeouts?: Partial<OriginTimeouts>;
  rests?: Partial<OriginRests>;
  /** For `https:`. `ca`: certificates in PEM, instead of the platform's, that the origin's has to be signed by. */
  tls?: { ca?: string | string[] };
  /** One of several origins has begun to fail, and is left alone while others are there; or it is good again. */
  onHealth?: (news: OriginNews) => void;
}

/** How origins are asked, whichever they are. */
export type OriginSettings = Pick<OriginClientOptions, "limits" | "timeouts" | "tls">;

/** What has come of the exchanges with one origin. */
export interface OriginState {
  /** Scheme, host and port. */
  readonly origin: string;
  /** Exchanges sent to it, those included that another had failed. */
  readonly asked: number;
  /** Those that it failed before the head of a response. */
  readonly failures: number;
  /** It is left alone, or would be if there were another. */
  readonly isResting: boolean;
}

/**
 * Asks one origin, as the HTTP/1.1 client side of an intermediary: what the origin sends is passed on as it was sent,
 * or refused; never repaired, never cut short in silence.
 *
 * Belongs to the thread that made it. Keeps connections open between exchanges within {@link OriginLimits}. A request
 * is sent again, once and on a new connection, only when its method is idempotent and the kept connection it went out
 * on closed before any octet came back (RFC 9110 section 9.2.2).
 *
 * Several origins take turns. One that fails before the head of a response (no connection, no answer in time, a broken-off or malformed head) is left
 * alone for a while, longer with each time ({@link OriginRests}); when all rest, the least bad is asked. The request that it failed goes to another when
 * it had not left yet, or when its method is idempotent, it has no content, and nothing of an answer was handed out. A status is an answer, 5xx too.
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
export class OriginClient implements Dispatcher {
  readonly #rotation: Rotation;
  readonly #onHealth: (news: OriginNews) => void;

  /** @throws {TypeError} No origin, or one that is neither `http:` nor `https:`; a `ca` that holds no certificate. */
  constructor(options: OriginClientOptions) {
    const origins = options.origin instanceof URL ? [options.origin] : options.origin;
    if (origins.length === 0) throw new TypeError("Cannot ask an origin: none was given");
    const limits = { ...DEFAULT_LIMITS, ...options.limits };
    const timeouts = { ...DEFAULT_TIMEOUTS, ...options.timeouts };
    const rests = { ...DEFAULT_RESTS, ...options.rests };
    this.#onHealth = options.onHealth ?? (() => {});
    this.#rotation = new Rotation(
      origins.map((url) => ({
        url,
        hostField: Fields.from([["Host", url.host]]),
        pool: new ConnectionPool(addressOf(url, options.tls), limits, timeouts),
        health: new OriginHealth(rests),
        asked: 0,
        failures: 0,
      })),
    );
  }

  /**
   * Sends one request and reports its response to `handler`; see {@link OriginHandler} for the order of calls.
   *
   * @param request Not changed by the caller any more. What is sent again and again is best prepared once.
   * @throws {TypeError} A request that this client can not send without changing what it means: a target in another
   *   form than origin-form, CONNECT, `Upgrade` without `offersUpgrade` or with content, or fields that frame content in a way that can not be sent, or that
   *   do not agree with `hasContent`.
   */
  send(request: OriginRequest | PreparedRequest, handler: OriginHandler): OriginExchange {
    const prepared = request instanceof PreparedRequest ? request : new PreparedRequest(request);
    const exchange = new Exchange(prepared, handler, this);
    const nowMs = performance.now();
    this.#dispatch(exchange, this.#rotation.next(exchange.tried, nowMs)!, nowMs);
    return exchange;
  }

  /** Sums over the origins. An exchange that went on to another counts with both. */
  stats(): PoolStats {
    return sumOf(this.#rotation.members.map(({ pool }) => pool.stats()));
  }

  /** In the order they were given in. */
  origins(): OriginState[] {
    const nowMs = performance.now();
    return this.#rotation.members.map(({ url, asked, failures, health }) => ({
      origin: url.origin,
      asked,
      failures,
      isResting: health.isResting(nowMs),
    }));
  }

  /** Closes all connections. Exchanges under way, and any sent from now on, fail with `ERR_ORIGIN_CLOSED`. */
  close(): void {
    for (const { pool } of this.#rotation.members) pool.close();
  }

  // ---- Dispatcher: what comes of an exchange

  answered({ attempt }: Exchange): void {
    const { health, url } = attempt!.member;
    if (health.answered() && this.#rotation.members.length > 1)
      this.#onHealth({ origin: url.origin, failure: undefined });
  }

  failed(exchange: Exchange, failure: ExchangeFailure): boolean {
    const attempt = exchange.attempt!;
    const { member } = attempt;
    const nowMs = performance.now();
    exchange.leave(attempt);
    if (!failure.headSeen && SHOWS_ILLNESS.has(codeOf(failure.fault))) this.#fallIll(member, failure, nowMs);
    else if (attempt.isTrial) member.health.trialEnded();
    if (failure.headSeen || failure.fault === "cancelled" || !exchange.mayMoveOn) return false;
    if (exchange.tried.size >= ATTEMPTS_MAX) return false;
    const next = this.#rotation.next(exchange.tried, nowMs);
    if (next === undefined) return false;
    this.#dispatch(exchange, next, nowMs);
    return true;
  }

  aborted({ attempt }: Exchange): void {
    if (attempt?.isTrial) attempt.member.health.trialEnded();
  }

  /** Those who wait for a connection to it need not find out for themselves. */
  #fallIll(member: Member, { reason }: ExchangeFailure, nowMs: number): void {
    member.failures++;
    const wasGood = member.health.restUntilMs === 0;
    if (member.health.failed(nowMs) === undefined || this.#rotation.members.length === 1) return;
    if (wasGood) this.#onHealth({ origin: member.url.origin, failure: reason });
    if (!this.#rotation.hasGood(new Set([member]), nowMs)) return;
    for (const waiting of member.pool.takeWaiting()) {
      waiting.leave(waiting.attempt!);
      this.#dispatch(waiting, this.#rotation.next(waiting.tried, nowMs) ?? member, nowMs);
    }
  }

  #dispatch(exchange: Exchange, member: Member, nowMs: number): void {
    member.asked++;
    const isTrial = member.health.asked(nowMs);
    exchange.begin({ member, isTrial, head: exchange.prepared.headFor(member) });
    member.pool.send(exchange);
  }
}

/** Failures that say something about the origin, and not about how much is asked of it. */
const SHOWS_ILLNESS: ReadonlySet<OriginErrorCode> = new Set([
  "ERR_ORIGIN_CONNECT",
  "ERR_ORIGIN_TLS",
  "ERR_ORIGIN_TIMEOUT",
  "ERR_ORIGIN_CUT_SHORT",
  "ERR_ORIGIN_MALFORMED",
]);

function addressOf(origin: URL, tls: OriginClientOptions["tls"]): OriginAddress {
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
    const tls: typeof import("node:tls") = require("node:tls"); // 20 ms of a start that few need
    tls.createSecureContext({ ca });
  } catch (error) {
    throw new TypeError("Cannot verify the origin by the given certificates: they are not in PEM", { cause: error });
  }
}
