import { expect, test } from "bun:test";
import { gatewayName } from "./field-names.ts";
import { isMethodOverride, isSaidByProxies } from "./said-by-proxies.ts";

test.each([
  ...[
    "forwarded",
    "x-forwarded-host",
    "x-forwarded-anything",
    "x_forwarded_for",
    "x-forwarded_proto",
    "x.original.url",
  ],
  ...[
    "x-forwarded",
    "x-forward-host",
    "x-http-host-override",
    "x_http_host_override",
    "x-host",
    "x-rewrite_url",
    "proxy",
  ],
])("isSaidByProxies(): %p is no client's to say", (name) => {
  expect([isSaidByProxies(gatewayName(name)), isMethodOverride(gatewayName(name))]).toEqual([true, false]);
});

test.each(["x-http-method-override", "x_http_method_override", "x-method_override", "x-http-method"])(
  "isMethodOverride(): %p asks for another method",
  (name) => {
    expect([isSaidByProxies(gatewayName(name)), isMethodOverride(gatewayName(name))]).toEqual([false, true]);
  },
);

test.each(["host", "x_custom_field", "user_agent", "x-forwardedness", "x-original-filename", "accept"])(
  "%p is an ordinary field",
  (name) => {
    expect([isSaidByProxies(gatewayName(name)), isMethodOverride(gatewayName(name))]).toEqual([false, false]);
  },
);
