const AGE =
  "RFC 9111 section 5.1: a cache SHOULD use the first member of a list-based Age, and SHOULD ignore a value that is no number; the test wants it to mean stale. Later versions of the suite agree with the RFC.";
const GATEWAY_ERROR =
  "Looks for a field of the origin's response in the 502 that stands for the response the origin did not give; no cache has ever passed it. Stale is not served: tests/caching covers it. Later versions of the suite ask for just that.";
const POST =
  "The origin is told with a POST by which name and scheme it was asked (X-Forwarded-Host, X-Forwarded-Proto, Forwarded), and with a GET through the cache it is not, so that nobody's Host decides what all others get. What a POST was answered with is kept for a GET (RFC 9110 section 9.3.3 says it can be) only where a rule has these fields in the key, or whoever posts with a Host of his choice would answer for everybody: tests/caching/post-answers.test.ts.";
const CONTENT_RANGE =
  "The origin's Content-Range says bytes 4-9, six of them, of a body of five: which bytes they are nobody knows, so no other range is answered from them (RFC 9110 section 15.3.7: never a wrong byte). The same range again is (partial-store-partial-reuse-partial).";

/** The tests of the suite that contradict the RFC, that nothing can pass, or that one client could use against all others, and why. All others that are required or optimal have to pass. */
export const CONTRADICTIONS: Readonly<Record<string, string>> = {
  "age-parse-nonnumeric": AGE,
  "age-parse-negative": AGE,
  "age-parse-float": AGE,
  "age-parse-prefix-twoline": AGE,
  "age-parse-dup-0": AGE,
  "age-parse-dup-0-twoline": AGE,
  "age-parse-dup-old": AGE,
  "age-parse-parameter": AGE,
  "age-parse-numeric-parameter": AGE,
  "stale-close-must-revalidate": GATEWAY_ERROR,
  "stale-close-proxy-revalidate": GATEWAY_ERROR,
  "stale-close-no-cache": GATEWAY_ERROR,
  "stale-close-s-maxage=2": GATEWAY_ERROR,
  "304-etag-update-response-ETag":
    "The 304 carries another strong ETag than the one that was asked about. RFC 9111 section 4.3.4: it selects no stored response, and must not update one; so the whole is asked for again, which this test's origin does not give. Later versions of the suite only look what caches do.",
  "method-POST": POST,
  "conditional-lm-fresh-no-lm":
    "If-Modified-Since with a date before the response was generated, against one without Last-Modified. RFC 9111 section 4.3.2 takes its Date instead, and that is later: it may have been modified since.",
  "partial-store-partial-reuse-partial-byterange": CONTENT_RANGE,
  "partial-store-partial-reuse-partial-absent": CONTENT_RANGE,
  "partial-store-partial-reuse-partial-suffix": CONTENT_RANGE,
};
