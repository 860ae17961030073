export { type ClientLimits, DEFAULT_CLIENT_LIMITS } from "./limits.ts";
export { ClientPorts, type ClientSockets } from "./listeners/client-ports.ts";
export { PortInUseError } from "./listeners/port-claim.ts";
export { checkTlsPairs, type TlsPair, TlsPairError } from "./listeners/tls-pair.ts";
export {
  type LoadedProxyThreads,
  loadProxyThreads,
  type ProxyOptions,
  type ProxySettings,
  type RunningProxy,
  startProxy,
} from "./proxy.ts";
export { TrustProxyError } from "./trusted-peers.ts";
