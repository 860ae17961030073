import type { OriginError, OriginExchange, OriginHandler } from "@proj/origin";
import { type Framing, type GetfileStatus, getfileStatusOf, type ResponseHead } from "@proj/protocol";
import type { HeldBack } from "./held-back.ts";
import type { Outgoing } from "./outgoing.ts";
import type { PassContext } from "./pass-through.ts";
import { getfilePassFields } from "./request-fields.ts";

/** What all GETFILE requests of one thread that pass share. */
export interface GetfilePassContext extends Pick<PassContext, "origin" | "onOriginError"> {
  readonly heldBack: HeldBack;
}

/** The client's connection, as far as a request that passes needs it. */
export interface GetfilePassClient {
  readonly out: Outgoing;
  readonly address: string;
  /** `OK` and a length go out before the first octet. */
  passBegun(bodyBytes: number): void;
  passRefused(status: Exclude<GetfileStatus, "OK" | "INVALID">): void;
  /** All of it went out. */
  passSent(): void;
  /** Something went out and the rest will not come. */
  passAborted(): void;
}

/**
 * Passes one GETFILE request to the origin, past the cache. GETFILE says the length first: a body whose length the origin does not say is held back until
 * it is whole, within a limit.
 */
export class GetfilePass implements OriginHandler {
  readonly #context: GetfilePassContext;
  readonly #client: GetfilePassClient;
  readonly #target: string;
  #exchange: OriginExchange | undefined;
  #phase: "waiting" | "holding-back" | "sending" | "whole" | "over" = "waiting";
  #held: Uint8Array[] = [];
  #heldBytes = 0;

  constructor(context: GetfilePassContext, client: GetfilePassClient, target: string) {
    this.#context = context;
    this.#client = client;
    this.#target = target;
  }

  start(): void {
    const fields = getfilePassFields(this.#client.address);
    this.#exchange = this.#context.origin.send({ method: "GET", target: this.#target, fields }, this);
  }

  // ---- what the client's connection reports

  clientLeft(): void {
    this.#giveUp();
    this.#client.out.discard();
  }

  /** The kernel has taken all that there was for the client. */
  drained(): void {
    if (this.#phase === "whole") this.#sent();
    else this.#exchange?.resume();
  }

  /** The kernel does not take what there is for the client. */
  heldBack(): void {
    this.#exchange?.pause();
  }

  // ---- what the origin reports

  onHead(head: ResponseHead, framing: Framing): void {
    const status = getfileStatusOf(head.status);
    if (status !== "OK") return this.#refuse(status);
    if (framing.kind === "length") this.#begin(framing.bytes);
    else this.#phase = "holding-back";
  }

  onContent(chunk: Uint8Array): void {
    if (this.#phase === "sending") this.#client.out.bytes(chunk);
    else if (this.#context.heldBack.take(this.#heldBytes, chunk.length)) {
      this.#heldBytes += chunk.length;
      this.#held.push(new Uint8Array(chunk));
    } else this.#refuse("ERROR");
  }

  onEnd(): void {
    const { out } = this.#client;
    if (this.#phase === "holding-back") {
      this.#begin(this.#heldBytes);
      for (const chunk of this.#held) out.bytes(chunk);
      this.#held = []; // their room is given back when the client has them: until then what it has not taken waits in `out`
    }
    this.#phase = "whole";
    out.flush();
    if (!out.isHeldBack) this.#sent();
  }

  onError(error: OriginError): void {
    this.#context.onOriginError(error, this.#target);
    if (this.#phase !== "sending") return this.#refuse("ERROR");
    this.#giveUp();
    this.#client.out.discard();
    this.#client.passAborted();
  }

  // ----

  #begin(bodyBytes: number): void {
    this.#phase = "sending";
    this.#client.passBegun(bodyBytes);
  }

  #sent(): void {
    this.#phase = "over";
    this.#letGo();
    this.#client.passSent();
  }

  #refuse(status: Exclude<GetfileStatus, "OK" | "INVALID">): void {
    this.#giveUp();
    this.#client.passRefused(status);
  }

  #giveUp(): void {
    this.#phase = "over";
    this.#exchange?.abort();
    this.#letGo();
  }

  #letGo(): void {
    this.#context.heldBack.giveBack(this.#heldBytes);
    this.#heldBytes = 0;
    this.#held = [];
  }
}
