const FILTERED = new Set([
  ...['SAFETY', 'RECITATION', 'LANGUAGE', 'BLOCKLIST', 'PROHIBITED_CONTENT', 'SPII'],
  ...['IMAGE_SAFETY', 'IMAGE_PROHIBITED_CONTENT', 'IMAGE_RECITATION'],
]);

/** Ends that are the model's fault: another try may do better. */
const FAILED = new Set([
  'MALFORMED_FUNCTION_CALL',
  'UNEXPECTED_TOOL_CALL',
  'MALFORMED_RESPONSE',
  'TOO_MANY_TOOL_CALLS',
]);

/** Why an answer ended, in OpenAI's words. Reasons that are not known yet are ends like any other. */
export function toFinishReason(native: string, callsTools: boolean): string {
  if (FILTERED.has(native)) return 'content_filter';
  if (native === 'MAX_TOKENS') return 'length';
  // Gemini says STOP also where it calls a function.
  return callsTools ? 'tool_calls' : 'stop';
}

export function isFailure(native: string): boolean {
  return FAILED.has(native);
}
