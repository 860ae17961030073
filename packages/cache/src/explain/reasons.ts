import type { Freshness, NotStorableReason, ValidationReason } from "@proj/protocol";
import type { Because } from "./explanation.ts";

/** Why a response was not stored: the protocol's reasons, and those of this cache. */
export type NotStoredReason = NotStorableReason | "no-room" | "purged" | "unasked-part";

const NOT_STORED: Record<NotStoredReason, Because> = {
  method: { text: "only responses to GET are stored", rfc: "RFC 9111 section 3" },
  "not-final": { text: "an interim response is not stored", rfc: "RFC 9111 section 3" },
  "not-modified": { text: "a 304 that was not asked for holds nothing to store", rfc: "RFC 9111 section 3" },
  "content-range": {
    text: "a 206 that does not say which part it brings can not be stored",
    rfc: "RFC 9111 section 3.3",
  },
  "about-the-request": {
    text: "its status is about something in that one request that is no part of the key, such as credentials or a condition: stored, it would answer for everybody",
    rfc: "RFC 9111 section 3",
  },
  "must-understand": {
    text: "the meaning of its status is not known here",
    directive: "must-understand",
    rfc: "RFC 9111 section 5.2.2.3",
  },
  "request-no-store": {
    text: "the client forbade to store it",
    directive: "no-store",
    rfc: "RFC 9111 section 5.2.1.5",
  },
  "no-store": { text: "the origin forbids to store it", directive: "no-store", rfc: "RFC 9111 section 5.2.2.5" },
  private: {
    text: "it is for one client, and this cache is shared",
    directive: "private",
    rfc: "RFC 9111 section 5.2.2.7",
  },
  authorization: {
    text: "the request had credentials, and the response does not say that others may have it (public, s-maxage or must-revalidate)",
    directive: "Authorization",
    rfc: "RFC 9111 section 3.5",
  },
  "vary-star": {
    text: "it says that no other request would get the same",
    directive: "Vary: *",
    rfc: "RFC 9111 section 4.1",
  },
  "no-freshness": {
    text: "it says nothing about how long it is good, and its status is none that may be reused without being told so",
    rfc: "RFC 9111 section 3",
  },
  "set-cookie": {
    text: "it sets a cookie and says nothing about caching: it is most likely meant for one client",
    directive: "Set-Cookie",
    rfc: "RFC 9111 section 7.3",
  },
  post: {
    text: "a response to POST is stored only with explicit freshness and a Content-Location that is the target itself",
    rfc: "RFC 9110 section 9.3.3",
  },
  "never-reusable": { text: "it has neither freshness nor a validator: it could never be used again" },
  "no-room": {
    text: "no tier has room for it: it is larger than what --memory and --disk allow for one response, or the disk refuses",
  },
  purged: { text: "a purge, or an unsafe request, concerned it while it was on its way" },
  "unasked-part": { text: "it is a part (206) that nobody had asked for", rfc: "RFC 9110 section 15.3.7" },
};

export function whyNotStored(reason: NotStoredReason): Because {
  return NOT_STORED[reason];
}

/** Why what is stored has to be validated first. */
export function whyValidated(reason: ValidationReason, { control }: Freshness): Because {
  switch (reason) {
    case "stale":
      return { text: "what is stored is stale", rfc: "RFC 9111 section 4.2" };
    case "no-cache":
      return { text: "the origin wants to be asked each time", directive: "no-cache", rfc: "RFC 9111 section 5.2.2.4" };
    case "request-no-cache":
      return {
        text: "the client wants the origin to be asked",
        directive: "no-cache",
        rfc: "RFC 9111 section 5.2.1.4",
      };
    case "request-max-age":
      return {
        text: `the client wants nothing that is older${control.immutable ? "" : ", and what is stored is"}`,
        directive: "max-age",
        rfc: "RFC 9111 section 5.2.1.1",
      };
    case "request-min-fresh":
      return {
        text: "the client wants it to stay fresh for longer than it will",
        directive: "min-fresh",
        rfc: "RFC 9111 section 5.2.1.3",
      };
    case "invalidated":
      return { text: "a purge that this node may have missed may concern what is stored" };
  }
}

/** Why something stale may be sent. */
export function whyStale(reason: "max-stale" | "stale-while-revalidate"): Because {
  return reason === "max-stale"
    ? { text: "the client takes it stale", directive: "max-stale", rfc: "RFC 9111 section 5.2.1.2" }
    : {
        text: "the origin lets it be sent while it is asked in the background",
        directive: "stale-while-revalidate",
        rfc: "RFC 5861 section 3",
      };
}

/** What would be done if the origin failed. */
export function whyOnError(reason: string): Because {
  const known: Record<string, Because> = {
    "stale-if-error": {
      text: "should the origin fail, what is stored would be sent",
      directive: "stale-if-error",
      rfc: "RFC 5861 section 4",
    },
    disconnected: {
      text: "should the origin not be reached, what is stored would be sent",
      rfc: "RFC 9111 section 4.2.4",
    },
    "server-error": { text: "should the origin fail, what is stored would be sent", rfc: "RFC 9111 section 4.3.3" },
    forbidden: {
      text: "should the origin fail, so would this: it must not be sent stale",
      directive: "must-revalidate, proxy-revalidate, s-maxage or no-cache",
      rfc: "RFC 9111 section 4.2.4",
    },
    "too-stale": {
      text: "should the origin fail, so would this: it is stale for longer than stale-if-error allows",
      directive: "stale-if-error",
      rfc: "RFC 5861 section 4",
    },
    "request-no-cache": {
      text: "should the origin fail, so would this: the client wants the origin's word",
      directive: "no-cache",
      rfc: "RFC 9111 section 5.2.1.4",
    },
    invalidated: { text: "should the origin fail, so would this: what is stored may have been purged" },
  };
  return known[reason] ?? { text: "should the origin fail, so would this" };
}

/** What set a lifetime. */
export function whyFresh({ basis, lifetimeMs, control }: Freshness): Because {
  const seconds = Math.floor(lifetimeMs / 1000);
  switch (basis) {
    case "s-maxage":
      return {
        text: `fresh for ${seconds} s from its making`,
        directive: `s-maxage=${control.sMaxAgeSeconds}`,
        rfc: "RFC 9111 section 5.2.2.10",
      };
    case "max-age":
      return {
        text: `fresh for ${seconds} s from its making`,
        directive: `max-age=${control.maxAgeSeconds}`,
        rfc: "RFC 9111 section 5.2.2.1",
      };
    case "expires":
      return { text: `fresh for ${seconds} s from its making`, directive: "Expires", rfc: "RFC 9111 section 5.3" };
    case "heuristic":
      return {
        text: `fresh for ${seconds} s: a tenth of the time since it was last modified, as nothing else is said`,
        directive: "Last-Modified",
        rfc: "RFC 9111 section 4.2.2",
      };
    case "rule":
      return { text: `fresh for ${seconds} s, by an operator's rule (ttl)` };
    case "none":
      return { text: "never fresh: nothing says for how long it is good", rfc: "RFC 9111 section 4.2.1" };
  }
}
