/** Reads when somebody first asks, and once for all who do. After a failure the next one who asks tries again. */
export function once<T>(read: () => Promise<T>): () => Promise<T> {
  let outcome: Promise<T> | null = null;
  return () => {
    outcome ??= read().catch((error) => {
      outcome = null;
      throw error;
    });
    return outcome;
  };
}
