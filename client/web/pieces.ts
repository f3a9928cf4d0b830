/** Asks under way at the same time: each is a connection that the browser makes. */
export const AT_ONCE = 3;
/** So many times in a row none of them is answered, and the server is taken for silent. */
export const SILENCES = 2;

/**
 * Asks for each piece, a few at a time; one that is not answered is asked again after the others. Gives the answers in
 * the order of `details`; undefined where they do not all come.
 */
export async function askForAll(
  details: readonly number[],
  ask: (detail: number) => Promise<number | undefined>,
): Promise<number[] | undefined> {
  const words = new Map<number, number>();
  const missing = [...details];
  for (let silences = 0; missing.length > 0; ) {
    const batch = missing.splice(0, AT_ONCE);
    const answers = await Promise.all(batch.map(ask));
    const lost = batch.filter((detail, index) => {
      const word = answers[index];
      if (word !== undefined) words.set(detail, word);
      return word === undefined;
    });
    silences = lost.length === batch.length ? silences + 1 : 0;
    if (silences === SILENCES) return undefined;
    missing.push(...lost);
  }
  return details.flatMap((detail) => words.get(detail) ?? []);
}
