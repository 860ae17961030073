import { AccessTexts, type Fields, type RequestHead } from "@proj/protocol";
import type { Asked } from "../access-recorder.ts";
import type { DeliveryContext } from "../delivery.ts";
import { ClientRecord } from "./client-record.ts";
import type { ClientSocket } from "./connection.ts";

/** What is said of an HTTP client and of its requests, in access records and in traces. */
export class HttpRecord extends ClientRecord {
  /** What is being answered; undefined when it could not be read as a request. */
  request: RequestHead | undefined;
  readonly #tracing: DeliveryContext["tracing"];
  readonly #isTls: boolean;
  /** What was said of the request that was recorded last. */
  #last: { readonly request: RequestHead; readonly asked: Asked } | undefined;

  constructor(socket: ClientSocket, context: DeliveryContext, isTls: boolean) {
    super(socket, context);
    this.#tracing = context.tracing;
    this.#isTls = isTls;
  }

  /** A request is answered from here on; nothing happens where that was said before. */
  begin(verdict?: "bypass"): void {
    if (this.current !== undefined) return;
    void this.address;
    const record = this.access.begin(verdict);
    this.current = record;
    const { request } = this;
    if (this.#tracing !== undefined && request !== undefined) this.#trace(request.fields);
  }

  /** A hot hit: it has a record if it is one of the sample, or one whose client wants it traced. */
  beginHot(): void {
    const sampled = this.access.beginSampledHot();
    const tracing = this.#tracing;
    if (tracing === undefined) {
      this.current = sampled;
      return;
    }
    const parent = this.request?.fields.get("traceparent");
    if (sampled === undefined && !tracing.isWanted(parent)) return;
    const record = sampled ?? this.access.beginTracedHot();
    const traced = tracing.begin(parent, record.weight);
    if (traced !== undefined) record.trace = traced.record;
    this.current = record;
  }

  /** We answer it in place of the origin. */
  refused(verdict: "refused" | "malformed", status: number): void {
    this.begin();
    this.access.refused(this.current!, verdict, status);
  }

  protected asked(): Asked {
    const { request } = this;
    const last = this.#last;
    if (last !== undefined && last.request === request) {
      // The memo of requests gives out one object for what comes again and again.
      last.asked.texts ??= new AccessTexts(last.asked);
      return last.asked;
    }
    const client = this.address;
    if (request === undefined) return { ...NOT_ASKED, client, isTls: this.#isTls };
    const { method, target, minorVersion, fields } = request;
    const asked: Asked = {
      method,
      target,
      host: fields.get("host") ?? "",
      client,
      referer: fields.get("referer") ?? "",
      userAgent: fields.get("user-agent") ?? "",
      wire: "http",
      minorVersion,
      isTls: this.#isTls,
      texts: undefined,
    };
    this.#last = { request, asked };
    return asked;
  }

  /** Where the request is traced, the origin is told that asking it is part of the trace. */
  #trace(fields: Fields): void {
    const record = this.current!;
    const traced = this.#tracing?.begin(fields.get("traceparent"), record.weight);
    if (traced === undefined) return;
    record.trace = traced.record;
    fields.set("traceparent", traced.forwarded);
  }
}

/** Of what could not be read as a request. */
const NOT_ASKED: Asked = {
  method: "",
  target: "",
  host: "",
  client: "",
  referer: "",
  userAgent: "",
  wire: "http",
  minorVersion: 1,
  isTls: false,
};
