import type { CountingOrigin } from "../support/counting-origin.ts";
import type { Webproxy } from "../support/webproxy.ts";

/** Resources of all kinds: hot, cold, private, gone, failing, slow. */
export function furnish(origin: CountingOrigin): void {
  const cached = { "Cache-Control": "max-age=600", "Cache-Tag": "shop" };
  for (let index = 0; index < 40; index++)
    origin.set(`/images/product-${index}.jpg`, { body: Buffer.alloc(2_000 + index * 900, index), headers: cached });
  for (let index = 0; index < 400; index++)
    origin.set(`/articles/${index}`, { body: Buffer.alloc(5_000, "a"), headers: { "Cache-Control": "max-age=1" } });
  origin.set("/video/intro.mp4", { body: Buffer.alloc(1_500_000, 7), headers: cached });
  origin.set("/api/basket", { body: Buffer.from("{}"), headers: { "Cache-Control": "private" } });
  origin.set("/api/slow", () => ({
    body: Buffer.from("{}"),
    headers: { "Cache-Control": "no-store" },
    until: Bun.sleep(40),
  }));
  origin.set("/broken", { status: 503, body: Buffer.from("broken\n") });
}

/** Asks for them at `perSecond` requests a second, until it is disposed of. */
export class Traffic implements AsyncDisposable {
  readonly #base: string;
  readonly #pauseMs: number;
  readonly #done: Promise<unknown>;
  #isOver = false;
  asked = 0;

  constructor(webproxy: Webproxy, perSecond: number) {
    this.#base = `http://${webproxy.http.host}:${webproxy.http.port}`;
    const clients = 4;
    this.#pauseMs = (1000 * clients) / perSecond;
    this.#done = Promise.all(Array.from({ length: clients }, () => this.#ask()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true;
    await this.#done;
  }

  async #ask(): Promise<void> {
    while (!this.#isOver) {
      await fetch(this.#base + this.#target(), { method: this.asked % 97 === 0 ? "POST" : "GET" })
        .then((response) => response.arrayBuffer())
        .catch(() => {});
      this.asked++;
      await Bun.sleep(this.#pauseMs);
    }
  }

  #target(): string {
    const chance = Math.random();
    if (chance < 0.7) return `/images/product-${Math.floor(40 * Math.random() ** 3)}.jpg`;
    if (chance < 0.9) return `/articles/${Math.floor(400 * Math.random() ** 2)}`;
    if (chance < 0.93) return "/api/basket";
    if (chance < 0.96) return "/api/slow";
    if (chance < 0.97) return "/video/intro.mp4";
    return chance < 0.98 ? "/broken" : `/gone/${Math.floor(Math.random() * 5)}`;
  }
}
