import { expect, test } from "bun:test";
import { fieldsToStore, storable } from "./storable.ts";
import { fieldsOf, requestOf, responseOf } from "./test-support.ts";

const GET = requestOf("GET");
const reasonOf = (status: number, lines: string[], request: Parameters<typeof storable>[0] = GET) => {
  const outcome = storable(request, responseOf(status, ...lines));
  return outcome.storable ? "storable" : outcome.reason;
};
const LAST_MODIFIED = "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT";

test.each([
  [200, ["Cache-Control: max-age=1"], "storable"],
  [200, ["Cache-Control: s-maxage=1"], "storable"],
  [200, ["Expires: Sun, 06 Nov 2044 08:49:37 GMT"], "storable"],
  [200, [LAST_MODIFIED], "storable"],
  [200, ['ETag: "a"'], "storable"],
  [200, ["Cache-Control: no-cache", 'ETag: "a"'], "storable"],
  [200, ["Cache-Control: max-age=0", LAST_MODIFIED], "storable"],
  [200, ["Cache-Control: max-age=0, stale-if-error=60"], "storable"],
  // every final status, with explicit freshness
  [299, ["Cache-Control: max-age=1"], "storable"],
  [302, ["Cache-Control: max-age=1"], "storable"],
  [499, ["Cache-Control: max-age=1"], "storable"],
  [503, ["Cache-Control: max-age=1"], "storable"],
  [599, ["Cache-Control: max-age=1"], "storable"],
  [599, ["Cache-Control: public", LAST_MODIFIED], "storable"],
  [302, [LAST_MODIFIED], "no-freshness"],
  [500, ['ETag: "a"'], "no-freshness"],
  // section 5.2.2
  [200, ["Cache-Control: max-age=9, nO-StOrE"], "no-store"],
  [200, ["Cache-Control: max-age=9, private"], "private"],
  [200, ['Cache-Control: max-age=9, private="set-cookie"'], "storable"],
  [200, ["Cache-Control: max-age=9, must-understand, no-store"], "storable"],
  [599, ["Cache-Control: max-age=9, must-understand"], "must-understand"],
  // RFC 9213
  [200, ["Cache-Control: no-store", "CDN-Cache-Control: max-age=9"], "storable"],
  [200, ["Cache-Control: max-age=9", "CDN-Cache-Control: private"], "private"],
  [302, ["Expires: Sun, 06 Nov 2044 08:49:37 GMT", "CDN-Cache-Control: none"], "no-freshness"],
  // sections 3, 3.3
  [100, ["Cache-Control: max-age=9"], "not-final"],
  [304, ["Cache-Control: max-age=9"], "not-modified"],
  [206, ["Cache-Control: max-age=9", "Content-Range: bytes 0-4/10"], "storable"],
  [206, ["Cache-Control: max-age=9"], "content-range"],
  [206, ["Cache-Control: max-age=9", "Content-Type: multipart/byteranges; boundary=x"], "content-range"],
  [200, ["Cache-Control: max-age=9", "Content-Range: nonsense"], "storable"],
  // poisoning: what a client's odd request provoked
  [416, ["Cache-Control: max-age=9"], "about-the-request"],
  [412, ["Cache-Control: max-age=9, public"], "about-the-request"],
  [401, ["CDN-Cache-Control: max-age=9"], "about-the-request"],
  [400, ["Cache-Control: max-age=9"], "storable"],
  [400, [LAST_MODIFIED], "no-freshness"],
  // section 4.1
  [200, ["Cache-Control: max-age=9", "Vary: a, *"], "vary-star"],
  // privacy and thrift
  [200, ["Cache-Control: max-age=9", "Set-Cookie: a=b"], "storable"],
  [200, [LAST_MODIFIED, "Set-Cookie: a=b"], "set-cookie"],
  [200, [], "never-reusable"],
  [200, ["Cache-Control: max-age=0"], "never-reusable"],
  [200, ["Cache-Control: max-age=9, no-cache"], "never-reusable"],
])("storable(): a %p to GET with %p: %p", (status, lines, outcome) => {
  expect(reasonOf(status, lines)).toBe(outcome);
});

test("storable() keeps nothing of a request with no-store (RFC 9111 section 5.2.1.5)", () => {
  const request = requestOf("GET", "Cache-Control: no-store");
  expect(reasonOf(200, ["Cache-Control: max-age=9"], request)).toBe("request-no-store");
});

test("storable() shares what was authorized only when told to (RFC 9111 section 3.5)", () => {
  const request = requestOf("GET", "Authorization: Basic eDp5");
  expect(reasonOf(200, ["Expires: Sun, 06 Nov 2044 08:49:37 GMT"], request)).toBe("authorization");
  expect(reasonOf(200, ["Cache-Control: max-age=9, proxy-revalidate"], request)).toBe("authorization");
  for (const directive of ["public", "must-revalidate", "s-maxage=5"]) {
    expect(reasonOf(200, [`Cache-Control: max-age=9, ${directive}`], request)).toBe("storable");
  }
});

test("storable() has no method but GET, and POST where it answers a later GET (RFC 9110 section 9.3.3)", () => {
  const fresh = "Cache-Control: max-age=9";
  for (const method of ["HEAD", "PUT", "DELETE", "OPTIONS", "get"]) {
    expect(reasonOf(200, [fresh], requestOf(method))).toBe("method");
  }
  const post = { ...requestOf("POST"), uri: "http://a.example/x?y" };
  expect(reasonOf(200, [fresh, "Content-Location: /x?y"], post)).toBe("storable");
  expect(reasonOf(200, [fresh, "Content-Location: http://a.example/x?y"], post)).toBe("storable");
  expect(reasonOf(200, [fresh, "Content-Location: /x"], post)).toBe("post");
  expect(reasonOf(200, [fresh, "Content-Location: //b.example/x?y"], post)).toBe("post");
  expect(reasonOf(201, [fresh, "Content-Location: /x?y"], post)).toBe("post");
  expect(reasonOf(200, [fresh], post)).toBe("post");
  expect(reasonOf(200, [LAST_MODIFIED, "Content-Location: /x?y"], post)).toBe("post");
  expect(reasonOf(200, [fresh, "Content-Location: /x?y"], requestOf("POST"))).toBe("post");
});

test("fieldsToStore() leaves out proxies' fields and what qualified directives withhold (RFC 9111 section 3.1)", () => {
  const stored = fieldsToStore(
    fieldsOf(
      ...['Cache-Control: max-age=9, no-cache="A", private="set-cookie, x-user"', "a: 1", "b: 2", "Set-Cookie: x=y"],
      ...["X-USER: me", "Proxy-Authenticate: Basic", "Proxy-Authentication-Info: x", "Proxy-Authorization: x"],
    ),
  );
  expect([...stored].map(([name]) => name)).toEqual(["Cache-Control", "b"]);
});
