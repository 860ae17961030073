/**
 * Fields by which a proxy tells the origin who asked for what, beside `X-Forwarded-*` and its misspelling `X-Forward-*`. From a client they are lies: about
 * its address, or about what it asks for. `Proxy` is none that anybody sends: behind CGI it is HTTP_PROXY, through which a program would go to others.
 */
const SAID_BY_PROXIES = new Set([
  ...["forwarded", "x-real-ip", "x-client-ip", "x-cluster-client-ip", "true-client-ip", "client-ip"],
  ...["x-proxyuser-ip", "x-remote-ip", "x-remote-addr", "x-originating-ip", "via-proxy", "proxy"],
  ...["x-host", "x-original-host", "x-host-override", "x-http-host-override", "x-client-host", "x-envoy-original-host"],
  ...["x-original-url", "x-original-uri", "x-rewrite-url", "x-rewrite-uri", "x-override-url", "x-proxy-url"],
  ...["x-envoy-original-path", "x-http-destinationurl", "x-script-name"],
  ...["x-url-scheme", "x-scheme", "front-end-https", "x-wap-profile"],
]);

/** Another method than the one that the request line says. */
const METHOD_OVERRIDES = new Set([
  ...["x-http-method-override", "x-http-method", "x-method-override", "x-method", "http-method-override"],
]);

/** Whether a field, by its `gatewayName`, is a proxy's to say and not a client's. */
export function isSaidByProxies(name: string): boolean {
  return name.startsWith("x-forward") ? FORWARD_PREFIX.test(name) : SAID_BY_PROXIES.has(name);
}

const FORWARD_PREFIX = /^x-forward(?:ed)?(?:-|$)/;

/** Whether a field, by its `gatewayName`, asks for another method. */
export function isMethodOverride(name: string): boolean {
  return METHOD_OVERRIDES.has(name);
}
