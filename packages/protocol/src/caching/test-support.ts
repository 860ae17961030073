import fc from "fast-check";
import { Fields } from "../http1/fields.ts";

/** Fields from lines as they stand on the wire: `fieldsOf("Age: 1", "Vary: Accept")`. For tests. */
export function fieldsOf(...lines: string[]): Fields {
  return Fields.from(
    lines.map((line) => {
      const colon = line.indexOf(":");
      return [line.slice(0, colon), line.slice(colon + 1).trim()] as const;
    }),
  );
}

/** A response with these field lines. For tests. */
export function responseOf(status: number, ...lines: string[]): { status: number; fields: Fields } {
  return { status, fields: fieldsOf(...lines) };
}

/** A request with these field lines. For tests. */
export function requestOf(method: string, ...lines: string[]): { method: string; fields: Fields } {
  return { method, fields: fieldsOf(...lines) };
}

const { FUZZ_SEED, FUZZ_FACTOR = "1" } = process.env;
const seed = Number(FUZZ_SEED ?? Math.floor(Math.random() * 2 ** 31));
console.log(`properties of caching/: FUZZ_SEED=${seed}`);

/**
 * Asserts a property on random values. The seed is printed first, and FUZZ_SEED repeats a run; FUZZ_FACTOR=100 makes it a
 * hundred times as long (give `--timeout`, too). For tests.
 */
export function check<T>(property: fc.IProperty<T>, numRuns = 500): void {
  fc.assert(property, { seed, numRuns: numRuns * Number(FUZZ_FACTOR) });
}

/** What a field value may hold once a head has been parsed: no line breaks, no NUL; one char for one octet. */
export const fieldValue: fc.Arbitrary<string> = fc.string({
  unit: fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom(...' ,;="\\-0159aAzW/*') },
    {
      weight: 1,
      arbitrary: fc
        .integer({ min: 0x20, max: 0xff })
        .filter((c) => c !== 0x7f)
        .map((c) => String.fromCharCode(c)),
    },
  ),
  maxLength: 60,
});
