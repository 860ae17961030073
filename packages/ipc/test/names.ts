import { type ObjectName, objectName } from "../src/object-name.ts";

/** A name of this test run's own, so that copies of the tests can run side by side. */
export function testName(suffix = ""): ObjectName {
  const random = Math.floor(Math.random() * 2 ** 32).toString(16);
  return objectName(`/test-${process.pid}-${random}${suffix}`);
}

/** Rejects when `promise` has not settled in time: for everything that would hang if it were wrong. */
export async function watchdog<T>(promise: Promise<T>, what: string, timeoutMs = 20_000): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} did not end within ${timeoutMs} ms`)), timeoutMs);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
