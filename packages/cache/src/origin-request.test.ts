import { expect, test } from "bun:test";
import { Fields } from "@proj/protocol";
import type { ClientRequest } from "./client-request.ts";
import { fillFields } from "./origin-request.ts";

function sent(lines: [string, string][], own: [string, string][] = []): string[] {
  const request = { fields: Fields.from(lines), forwarding: Fields.from([["X-Forwarded-For", "192.0.2.1"]]) };
  return [...fillFields(request as unknown as ClientRequest, own)].map(([name, value]) => `${name}: ${value}`);
}

test("fillFields() leaves out what concerns one client, or chooses what is asked for, in any spelling", () => {
  const names = [
    ...["If-None-Match", "If_None_Match", "Range", "Forwarded", "X-Forwarded-Host", "X_Forwarded_For", "X-Rewrite_URL"],
    ...["X-HTTP-Method-Override", "X_Http_Method_Override", "X-HTTP-Host-Override", "X-Host", "Proxy"],
  ];
  const lines = names.map((name): [string, string] => [name, "evil"]);
  expect(sent([...lines, ["X_Own", "1"], ["Accept", "*/*"]], [["If-None-Match", '"ours"']])).toEqual([
    "X_Own: 1",
    "Accept: */*",
    'If-None-Match: "ours"',
    expect.stringMatching(/^Surrogate-Capability: /),
    "X-Forwarded-For: 192.0.2.1",
  ]);
});
