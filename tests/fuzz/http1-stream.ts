import {
  BodyDecoder,
  checkHost,
  type Fields,
  type Framing,
  HeadScanner,
  keepsAlive,
  type Malformed,
  parseRequestHead,
  parseResponseHead,
  type RequestHead,
  type ResponseHead,
  requestFraming,
  responseFraming,
} from "@proj/protocol";

/** One whole message, in what two parsers can be compared by. Octets are chars (latin1). */
export interface ReadMessage {
  method?: string;
  target?: string;
  status?: number;
  fields: [string, string][];
  body: string;
  trailers: [string, string][];
}

/** What a reader makes of all the bytes of one connection, whose sender then closes it. */
export interface StreamReading {
  messages: ReadMessage[];
  /**
   * `end`: the last message ended with the bytes. `incomplete`: the bytes end within one. `refused`: one must not be acted
   * upon. `last`: a message said that it is the last, or that another protocol follows; what comes after is not HTTP.
   */
  outcome: "end" | "incomplete" | "refused" | "last";
  reason?: string;
  status?: number;
}

export interface Stream {
  kind: "request" | "response";
  bytes: string;
  /** For responses: the method of the requests that they answer, in order; GET when they run out. */
  requestMethods?: string[];
}

type Head = RequestHead | ResponseHead;

/**
 * Reads a connection with our parser the way a peer has to: heads one after the other, each body by its framing.
 *
 * @param cuts Where the bytes are cut into the pieces in which they arrive; none for all at once.
 */
export function readStream(stream: Stream, cuts: readonly number[] = []): StreamReading {
  const bytes = new Uint8Array(Buffer.from(stream.bytes, "latin1"));
  const reader = new StreamReader(stream);
  for (const arrived of [...cuts, bytes.length]) {
    const reading = reader.arrive(bytes, arrived);
    if (reading !== undefined) return reading;
  }
  return reader.close();
}

/** Reads further each time that more bytes have arrived. */
class StreamReader {
  private readonly stream: Stream;
  private readonly methods: string[];
  private readonly scanner = new HeadScanner();
  private readonly messages: ReadMessage[] = [];
  private at = 0;
  private arrived = 0;
  private current: { head: Head; decoder: BodyDecoder; body: string } | undefined;

  constructor(stream: Stream) {
    this.stream = stream;
    this.methods = [...(stream.requestMethods ?? [])];
  }

  arrive(bytes: Uint8Array, arrived: number): StreamReading | undefined {
    this.arrived = arrived;
    for (;;) {
      const before = this.at;
      const opened = this.current === undefined;
      const reading = opened ? this.openMessage(bytes) : this.readBody(bytes);
      if (reading !== undefined) return reading;
      const moved = this.at > before || opened !== (this.current === undefined);
      if (!moved) return undefined;
    }
  }

  close(): StreamReading {
    if (this.current === undefined) return this.reading(this.at === this.arrived ? "end" : "incomplete");
    if (this.current.decoder.end() === "cut-short") return this.reading("incomplete");
    this.finishMessage();
    return this.reading("end");
  }

  private openMessage(bytes: Uint8Array): StreamReading | undefined {
    const end = this.scanner.scan(bytes, this.at, this.arrived);
    if (end === undefined) return undefined;
    if (typeof end === "object") return this.refused(end);
    const isRequest = this.stream.kind === "request";
    const head = isRequest ? parseRequestHead(bytes, this.at, end) : parseResponseHead(bytes, this.at, end);
    if (head.kind === "malformed") return this.refused(head);
    const framing = this.framingOf(head);
    if (framing.kind === "malformed") return this.refused(framing);
    this.at = end;
    this.current = { head, decoder: new BodyDecoder(framing), body: "" };
    return this.afterBody();
  }

  private readBody(bytes: Uint8Array): StreamReading | undefined {
    const current = this.current!;
    const taken = current.decoder.push(bytes, this.at, this.arrived, (from, to) => {
      current.body += Buffer.from(bytes.buffer, from, to - from).toString("latin1");
    });
    if (typeof taken === "object") return this.refused(taken);
    this.at += taken;
    return this.afterBody();
  }

  private afterBody(): StreamReading | undefined {
    if (!this.current!.decoder.done) return undefined;
    const endsHttp = this.endsHttp(this.current!.head);
    this.finishMessage();
    return endsHttp ? this.reading("last") : undefined;
  }

  private framingOf(head: Head): Framing | Malformed {
    if (head.kind === "response") return responseFraming(this.methods[0] ?? "GET", head);
    const host = checkHost(head);
    return typeof host === "object" ? host : requestFraming(head);
  }

  private endsHttp(head: Head): boolean {
    if (!keepsAlive(head)) return true;
    if (head.kind === "response") return head.status === 101 || this.answersConnect(head);
    const options = (head.fields.get("connection") ?? "").split(",").map((option) => option.trim().toLowerCase());
    const upgrades = options.includes("upgrade") && head.fields.all("upgrade").some((protocol) => protocol !== "");
    return upgrades || head.method === "CONNECT";
  }

  private answersConnect(head: ResponseHead): boolean {
    return this.methods[0] === "CONNECT" && head.status >= 200 && head.status < 300;
  }

  private finishMessage(): void {
    const { head, decoder, body } = this.current!;
    const message: ReadMessage = { fields: pairs(head.fields), body, trailers: pairs(decoder.trailers) };
    if (head.kind === "request") Object.assign(message, { method: head.method, target: head.target });
    else message.status = head.status;
    this.messages.push(message);
    if (head.kind === "response" && head.status >= 200) this.methods.shift();
    this.current = undefined;
  }

  private refused({ reason, status }: Malformed): StreamReading {
    // Scanner and body decoder do not know whose bytes they read; what a gateway's client is told, they can not know.
    return { ...this.reading("refused"), reason, status: this.stream.kind === "response" ? 502 : status };
  }

  private reading(outcome: StreamReading["outcome"]): StreamReading {
    return { messages: this.messages, outcome };
  }
}

function pairs(fields: Fields | undefined): [string, string][] {
  return fields === undefined ? [] : [...fields];
}

/** The same messages, for two readers that both took them: what they start with, fields, body, trailers, in one order. */
export function isSameMessages(a: readonly ReadMessage[], b: readonly ReadMessage[]): boolean {
  return a.length === b.length && a.every((message, i) => comparable(message) === comparable(b[i]!));
}

function comparable({ method, target, status, fields, body, trailers }: ReadMessage): string {
  return JSON.stringify([method ?? "", target ?? "", status ?? 0, fields, body, trailers]);
}
