import { EngineError } from "./engine.ts";
import { BEGINNING } from "./log-entry.ts";
import type { LoggedSelector } from "./purge-index.ts";

const WAITING_MAX = 4_096;
const RETRY_MS = 1_000;

/** What one thread has the purge log say to every node: that requests have changed something. While the engine is away that waits, in memory. */
export class Announcements {
  /** Adds an entry to the log. Resolves to nothing when there is no log just now. @throws {EngineError} */
  readonly #append: (entry: object) => Promise<unknown>;
  readonly #isJoined: () => boolean;
  readonly #waiting: LoggedSelector[] = [];
  /** It was too much to keep: then everything is doubtful. */
  #hasForgotten = false;
  #retry: Timer | undefined;
  #isClosed = false;

  /** @param isJoined Whether it is of any use to try again; when that changes, {@link sendWaiting} is called. */
  constructor(append: (entry: object) => Promise<unknown>, isJoined: () => boolean) {
    this.#append = append;
    this.#isJoined = isJoined;
  }

  /** Has every node apply a hard purge, by and by. */
  purged(selector: LoggedSelector): void {
    this.#add({ selectors: [selector], soft: false }, () => {
      if (this.#waiting.length < WAITING_MAX) this.#waiting.push(selector);
      else this.#hasForgotten = true;
    });
  }

  /** Says what waits; what fails waits again. */
  sendWaiting(): void {
    if (this.#hasForgotten) {
      this.#hasForgotten = false;
      // Everything that was filled so far is validated before it is used, at every node.
      this.#add(BEGINNING, () => {
        this.#hasForgotten = true;
      });
    }
    for (const selector of this.#waiting.splice(0)) this.purged(selector);
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#retry);
  }

  #add(entry: object, failed: () => void): void {
    const failedNow = () => {
      failed();
      if (!this.#isClosed) this.#retry ??= setTimeout(() => this.#again(), RETRY_MS);
    };
    this.#append(entry).then(
      (sequence) => {
        if (sequence === null) failedNow();
      },
      (error: unknown) => {
        if (!(error instanceof EngineError)) throw error;
        failedNow();
      },
    );
  }

  #again(): void {
    this.#retry = undefined;
    if (this.#isJoined()) this.sendWaiting();
  }
}
