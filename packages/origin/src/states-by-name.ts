import type { OriginState } from "./client.ts";

/** For each name, in their order, what has come of the exchanges with it: several clients may ask the same origin. */
export function statesByName(names: readonly string[], states: readonly OriginState[]): OriginState[] {
  return names.map((origin) => {
    const own = states.filter((state) => state.origin === origin);
    return {
      origin,
      asked: own.reduce((sum, { asked }) => sum + asked, 0),
      failures: own.reduce((sum, { failures }) => sum + failures, 0),
      isResting: own.some(({ isResting }) => isResting),
    };
  });
}
