export { OriginClient, type OriginClientOptions, type OriginState } from "./client.ts";
export type { PoolStats } from "./connection-pool.ts";
export { OriginError, type OriginErrorCode } from "./errors.ts";
export type { OriginExchange, OriginHandler, OriginRequest } from "./exchange.ts";
export { healthRecord, type OriginNews } from "./health-news.ts";
export { DEFAULT_LIMITS, type OriginLimits } from "./limits.ts";
export { DEFAULT_RESTS, type OriginRests } from "./origin-health.ts";
export { statesByName } from "./states-by-name.ts";
export { DEFAULT_TIMEOUTS, type OriginTimeouts } from "./timeouts.ts";
