export { type ClientLimits, DEFAULT_CLIENT_LIMITS } from "./limits.ts";
export { PortInUseError } from "./listeners/port-claim.ts";
export { type TlsPair, TlsPairError } from "./listeners/tls.ts";
export { type ProxyOptions, type ProxySettings, type RunningProxy, startProxy } from "./proxy.ts";
export { TrustProxyError } from "./trusted-peers.ts";
