import type { ResponseAnswer } from "@proj/protocol";
import type { AccessRecorder, Asked, RequestRecord } from "../access-recorder.ts";
import type { DeliveryContext } from "../delivery.ts";
import { type ClientSocket, clientAddress } from "./connection.ts";

/** What is said of one client: where it is, and what the request that it is being answered came to. */
export abstract class ClientRecord {
  /** Of the request that is being answered; of a hot hit only if it is one of those of which something is said. */
  current: RequestRecord | undefined;
  protected readonly access: AccessRecorder;
  readonly #socket: ClientSocket;
  readonly #counters: DeliveryContext["counters"];
  #address: string | undefined;

  constructor(socket: ClientSocket, { access, counters }: Pick<DeliveryContext, "access" | "counters">) {
    this.#socket = socket;
    this.access = access;
    this.#counters = counters;
  }

  /** Read when it is wanted, since that is a system call, and while the socket is open: a closed one has no address. */
  get address(): string {
    this.#address ??= clientAddress(this.#socket);
    return this.#address;
  }

  /** The cache has answered: its response goes out from now on. */
  answered(response: ResponseAnswer): void {
    if (this.current !== undefined) this.access.answered(this.current, response);
  }

  /** The origin has answered a request that went past the cache. */
  passed(status: number): void {
    if (this.current !== undefined) this.access.passed(this.current, status);
  }

  /** The kernel has taken so many bytes of a response. */
  sent(bytes: number): void {
    this.#counters.add("sentBytes", bytes);
    this.sentPortion(bytes);
  }

  /** As {@link sent}, where what the portion brought is counted by whoever has it from the cache. */
  sentPortion(bytes: number): void {
    if (this.current !== undefined) this.current.bytes += bytes;
  }

  /** The request is over, if there was one of which something is said. */
  ended(aborted: boolean): void {
    const record = this.current;
    if (record === undefined) return;
    this.current = undefined;
    this.access.end(record, aborted, this.asked());
  }

  /** Who has asked for what; read only when a record is written. */
  protected abstract asked(): Asked;
}
