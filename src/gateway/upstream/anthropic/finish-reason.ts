/** Why an answer ended, in OpenAI's words. Reasons that are not known yet are ends like any other. */
export function toFinishReason(stopReason: string): string {
  switch (stopReason) {
    case 'tool_use':
      return 'tool_calls';
    case 'max_tokens':
    case 'model_context_window_exceeded':
      return 'length';
    case 'refusal':
      return 'content_filter';
    default:
      return 'stop';
  }
}
