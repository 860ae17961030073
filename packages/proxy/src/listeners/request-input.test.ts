import { describe, expect, test } from "bun:test";
import type { Malformed, RequestHead } from "@proj/protocol";
import fc from "fast-check";
import { DEFAULT_CLIENT_LIMITS, PIPELINE_BYTES_MAX } from "../limits.ts";
import type { ClientSocket } from "./connection.ts";
import type { HttpSettings } from "./http-settings.ts";
import { RequestInput, type RequestInputOwner } from "./request-input.ts";

/** A connection that answers when a test says so, or at once, and takes as much content as Content-Length says. */
class Client implements RequestInputOwner {
  expects: RequestInputOwner["expects"] = "head";
  answersAtOnce = false;
  isPaused = false;
  timeouts = 0;
  nowMs = 0;
  readonly taken: string[] = [];
  readonly malformed: Malformed[] = [];
  readonly alone: boolean[] = [];
  readonly input: RequestInput;
  #contentLeft = 0;

  constructor() {
    const socket = {
      timeout: () => {},
      pause: () => (this.isPaused = true),
      resume: () => (this.isPaused = false),
    } as unknown as ClientSocket;
    const settings = { limits: DEFAULT_CLIENT_LIMITS } as HttpSettings;
    this.input = new RequestInput(socket, settings, () => this.nowMs, this);
  }

  tookHead(head: RequestHead | Malformed, octets: Uint8Array | undefined): void {
    this.alone.push(octets !== undefined);
    if (head.kind === "malformed") {
      this.malformed.push(head);
      this.expects = "nothing";
      return;
    }
    this.expects = "content";
    this.taken.push(`${head.method} ${head.target} `);
    this.#contentLeft = Number(head.fields.get("content-length") ?? 0);
    if (this.answersAtOnce && this.#contentLeft === 0) this.answer();
  }

  takeContent(bytes: Uint8Array, start: number): number {
    if (this.expects !== "content") return 0;
    const count = Math.min(this.#contentLeft, bytes.length - start);
    this.taken.push(`${this.taken.pop()}${Buffer.from(bytes.subarray(start, start + count)).toString("latin1")}`);
    this.#contentLeft -= count;
    if (this.answersAtOnce && this.#contentLeft === 0) this.answer();
    return count;
  }

  timedOut(): void {
    this.timeouts++;
  }

  get mayAnswer(): boolean {
    return this.expects === "content" && this.#contentLeft === 0;
  }

  answer(): void {
    this.expects = "head";
    this.input.goOn();
    if (!this.input.isTaking) this.input.takeRest();
  }

  send(text: string): void {
    const chunk = Buffer.from(text, "latin1");
    this.input.received(chunk);
    chunk.fill(0); // the socket's memory is used again
  }
}

const request = fc.record({
  target: fc.constantFrom("/", "/a", "/longer/target?query"),
  content: fc.constantFrom("", "x", "content that is longer"),
});

describe("RequestInput", () => {
  test("takes requests and their content in order, however they are cut and whenever they are answered", () => {
    fc.assert(
      fc.property(
        fc.array(request, { minLength: 1, maxLength: 8 }),
        fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1 }),
        fc.array(fc.boolean(), { minLength: 1 }),
        fc.boolean(),
        (requests, cuts, answers, answersAtOnce) => {
          const client = new Client();
          client.answersAtOnce = answersAtOnce;
          const text = requests
            .map(({ target, content }) =>
              content === ""
                ? `GET ${target} HTTP/1.1\r\nHost: h\r\n\r\n`
                : `POST ${target} HTTP/1.1\r\nHost: h\r\nContent-Length: ${content.length}\r\n\r\n${content}`,
            )
            .join("");
          for (let at = 0, turn = 0; at < text.length; turn++) {
            const bytes = cuts[turn % cuts.length]!;
            client.send(text.slice(at, at + bytes));
            at += bytes;
            if (answers[turn % answers.length] && client.mayAnswer) client.answer();
          }
          while (client.mayAnswer) client.answer();
          expect(client.taken).toEqual(
            requests.map(({ target, content }) => `${content === "" ? "GET" : "POST"} ${target} ${content}`),
          );
          expect([client.malformed.length, client.input.hasRest, client.input.isWithinHead]).toEqual([0, false, false]);
        },
      ),
    );
  });

  test("gives the octets of a head only where nothing came with it", () => {
    const client = new Client();
    const head = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
    client.answersAtOnce = true;
    client.send(head);
    client.send(head + head);
    client.send(head.slice(0, 5));
    client.send(head.slice(5));
    expect(client.alone).toEqual([true, false, false, true]);
  });

  test("takes nothing behind what is no request", () => {
    const client = new Client();
    client.send("GET / HTTP/1.1\r\nHost : h\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n");
    expect(client.malformed).toHaveLength(1);
    expect([client.taken, client.alone]).toEqual([[], [false]]);
    expect(client.input.hasRest).toBe(false);
  });

  test("stops reading when too much waits behind the request that is answered, and goes on afterwards", () => {
    const client = new Client();
    const head = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
    client.send(head);
    const pieces = Math.ceil(PIPELINE_BYTES_MAX / (100 * head.length));
    for (let piece = 1; piece <= pieces; piece++) {
      client.send(head.repeat(100));
      expect(client.isPaused).toBe(piece === pieces);
    }
    client.send(head.repeat(50));
    client.answer();
    expect(client.isPaused).toBe(true); // what waits behind the next one is still too much
    client.answersAtOnce = true;
    client.answer();
    expect(client.isPaused).toBe(false);
    expect(client.taken).toHaveLength(1 + 100 * pieces + 50);
    expect(client.input.hasRest).toBe(false);
  });

  test("gives a head that comes a little at a time as long as any other", () => {
    const client = new Client();
    client.send("GET / HTTP/1.1\r\n");
    expect(client.input.isWithinHead).toBe(true);
    client.nowMs = DEFAULT_CLIENT_LIMITS.headTimeoutMs;
    client.send("Host:");
    expect(client.timeouts).toBe(0);
    client.nowMs++;
    client.send(" h");
    expect(client.timeouts).toBe(1);
    client.send("\r\n\r\n");
    expect(client.input.isWithinHead).toBe(false);
    expect(client.taken).toEqual(["GET / "]);
  });

  test("takes an empty line for no head that has begun", () => {
    const client = new Client();
    for (const part of ["\r", "\n"]) {
      client.send(part);
      expect(client.input.isWithinHead).toBe(false);
    }
    client.send("GET /");
    expect(client.input.isWithinHead).toBe(true);
    client.send(" HTTP/1.1\r\nHost: h\r\n\r\n");
    expect(client.taken).toEqual(["GET / "]);
  });
});
