/** The promise's value, or an error when that takes longer than `ms`: no test hangs, and the one that would says where (`what`, asked for then). */
export async function within<Value>(
  ms: number,
  what: string | (() => string),
  promise: Promise<Value>,
): Promise<Value> {
  let timer: Timer | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new Error(`Still waiting after ${ms} ms: ${typeof what === "string" ? what : what()}`)),
      ms,
    );
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Waits until `look` gives something other than undefined or false, looking every 10 ms. */
export async function eventually<Value>(
  ms: number,
  what: string | (() => string),
  look: () => Value | undefined | false | Promise<Value | undefined | false>,
): Promise<Value> {
  const deadline = performance.now() + ms;
  for (;;) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
    if (performance.now() > deadline)
      throw new Error(`Not so after ${ms} ms: ${typeof what === "string" ? what : what()}`);
    await Bun.sleep(10);
  }
}
