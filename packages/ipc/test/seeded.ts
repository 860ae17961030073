/** A number generator with a seed that is printed: run again with IPC_TEST_SEED to repeat. */
export function seeded(): () => number {
  const { IPC_TEST_SEED: given } = process.env;
  let state = Number(given ?? Math.floor(Math.random() * 2 ** 31));
  console.log(`seed ${state}`);
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}
