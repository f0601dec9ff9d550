/** Something stands in the way of a start. The message is one sentence that says what, and what would help. */
export class StartError extends Error {
  override readonly name = 'StartError';
}
