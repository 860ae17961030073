import { expect, test } from "bun:test";
import { outcomeOf } from "../test/outcome.ts";
import { type ScriptedConnection, scriptedOrigin } from "../test/scripted-origin.ts";
import { OriginClient } from "./client.ts";

/*
 * Random valid responses (every framing, informational heads before them, keep-alive or not), sent in random pieces,
 * whole or broken off at a random octet. The generator knows what each amounts to; the client has to see exactly
 * that: whole: the same content and an end; broken off: a prefix of it and an error, never an end.
 */
interface Response {
  octets: string;
  content: string;
  /** Octets after which an end of the connection is an end of the response. */
  endsOnClose: boolean;
}

const SEED = "FUZZ_SEED";

type Random = (below: number) => number;

function randomResponse(random: Random): Response {
  const content = Array.from({ length: random(random(8) === 0 ? 20_000 : 60) }, () =>
    String.fromCharCode(random(256)),
  ).join("");
  const early = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n".repeat(random(3));
  switch (random(4)) {
    case 0: {
      const octets = `${early}HTTP/1.1 200 OK\r\nContent-Length: ${content.length}\r\n\r\n${content}`;
      return { octets, content, endsOnClose: false };
    }
    case 1:
      return { octets: `${early}HTTP/1.1 204 \r\nX-Empty:\r\n\r\n`, content: "", endsOnClose: false };
    case 2:
      return { octets: `${early}HTTP/1.1 200 OK\r\nX: y\r\n\r\n${content}`, content, endsOnClose: true };
    default: {
      let chunked = `${early}HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n`;
      for (let at = 0; at < content.length; ) {
        const bytes = Math.min(1 + random(500), content.length - at);
        chunked += `${bytes.toString(16)}${random(3) === 0 ? ';sig="a;b"' : ""}\r\n${content.slice(at, at + bytes)}\r\n`;
        at += bytes;
      }
      return { octets: `${chunked}0\r\n${random(2) === 0 ? "X-Sum: 1\r\n" : ""}\r\n`, content, endsOnClose: false };
    }
  }
}

function xorshift(seed: number): Random {
  let state = seed || 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

test("random responses in random pieces are what the generator says; broken off, they are errors", async () => {
  const seed = Number(process.env[SEED] ?? Math.floor(Math.random() * 2 ** 32));
  console.log(`origin client fuzz: ${SEED}=${seed}`);
  const random = xorshift(seed);
  const script = { octets: "", pieces: 1, closes: false };
  const send = async ({ send, socket }: ScriptedConnection) => {
    const { octets, pieces, closes } = script;
    for (let piece = 0, at = 0; piece < pieces && at < octets.length; piece++) {
      const to = piece === pieces - 1 ? octets.length : Math.min(octets.length, at + 1 + random(octets.length));
      send(octets.slice(at, to));
      at = to;
      // Not after the last octet: the next request may be here by then, and what follows would be about that one.
      if (at < octets.length) await Bun.sleep(0);
    }
    if (closes) socket.end();
  };
  using origin = scriptedOrigin((connection) => void send(connection));
  const client = new OriginClient({ origin: origin.url });
  try {
    for (let round = 0; round < 1500; round++) {
      const response = randomResponse(random);
      const cut = random(4) === 0 ? random(response.octets.length) : response.octets.length;
      const isWhole = cut === response.octets.length;
      script.octets = response.octets.slice(0, cut);
      script.pieces = 1 + random(4);
      script.closes = !isWhole || response.endsOnClose || random(10) === 0;
      // A request that goes out on a connection which closes without an octet is sent again; here that would hide the
      // cut.
      if (cut === 0) continue;
      const outcome = await outcomeOf(client);
      const said = { seed, round, error: outcome.error?.code, isPrefix: response.content.startsWith(outcome.content) };
      const endsAsItIs = isWhole || (response.endsOnClose && outcome.head !== undefined);
      expect(said).toEqual({ seed, round, error: endsAsItIs ? undefined : "ERR_ORIGIN_CUT_SHORT", isPrefix: true });
      if (isWhole) expect(outcome.content).toBe(response.content);
    }
  } finally {
    client.close();
  }
});
