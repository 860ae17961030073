import { expect, test } from "bun:test";
import { endToEndFields } from "./end-to-end.ts";
import { Fields } from "./fields.ts";

function kept(...lines: [string, string][]): string[] {
  return [...endToEndFields(Fields.from(lines))].map(([name]) => name);
}

test("fields of one hop go, the others stay in order and case", () => {
  expect(
    kept(
      ["Host", "a"],
      ["connection", "keep-alive"],
      ["Keep-Alive", "timeout=5"],
      ["X-b", "1"],
      ["TE", "trailers"],
      ["Trailer", "X"],
      ["Transfer-Encoding", "chunked"],
      ["Upgrade", "h2c"],
      ["HTTP2-Settings", "x"],
      ["Proxy-Connection", "close"],
      ["Proxy-Authorization", "Basic x"],
      ["Proxy-Authenticate", "Basic"],
      ["Proxy-Authentication-Info", "x"],
      ["Proxy-Status", "a"],
      ["x-B", "2"],
    ),
  ).toEqual(["Host", "X-b", "Proxy-Status", "x-B"]);
});

test("fields of one hop go however they are spelled: CGI reads an underscore as a hyphen; other underscores stay", () => {
  const named = [
    "Transfer_Encoding",
    "Proxy_Authorization",
    "keep_alive",
    "X_Own_Field",
    "transfer.encoding",
    "Content_Type",
  ];
  expect(kept(...named.map((name): [string, string] => [name, "1"]))).toEqual(["X_Own_Field", "Content_Type"]);
});

test("fields that Connection names go, in any case and every line of them", () => {
  expect(kept(["Connection", "X-A ,, x-b"], ["x-a", "1"], ["X-A", "2"], ["X-B", "3"], ["X-C", "4"])).toEqual(["X-C"]);
  expect(kept(["Connection", "X-A"], ["X-B", "1"], ["connection", "X-B"], ["X-A", "2"])).toEqual([]);
});

test("Connection: Host, Cache-Control and the like do no harm", () => {
  const named = [
    "Host",
    "Cache-Control",
    "Content-Length",
    "Authorization",
    "Cookie",
    "X-Forwarded-For",
    "Via",
    "Vary",
  ];
  const lines = named.map((name): [string, string] => [name, "1"]);
  expect(kept(["Connection", named.join(", ")], ...lines, ["X", "1"])).toEqual([...named, "X"]);
});

test("the fields given are left as they were", () => {
  const fields = Fields.from([
    ["Connection", "X"],
    ["X", "1"],
  ]);
  endToEndFields(fields);
  expect(fields.length).toBe(2);
});
