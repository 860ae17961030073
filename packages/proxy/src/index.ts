export { PortInUseError } from "./listeners/port-claim.ts";
export { type ProxyOptions, type RunningProxy, startProxy } from "./proxy.ts";
