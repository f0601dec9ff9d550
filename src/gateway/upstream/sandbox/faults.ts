/** What can be made to go wrong, by the control `fault` or by asking for the model `sandbox-fault-<fault>`. */
export const FAULTS = [
  /** An HTTP error with its dialect's body, 500 if not told otherwise; `status` and `retryAfter` shape it. */
  'status',
  /** The socket is reset before any header. */
  'reset',
  /** The request is read and never answered. */
  'silent',
  /** The first token takes `firstTokenMs`, or 30 s. */
  'slow-first-token',
  /** Stops in the middle and keeps the socket open. */
  'stall',
  /** The socket is closed in the middle of the body. */
  'cut',
  /** A clean end of the body in the middle: no finish reason, nothing behind it; not streamed: JSON that stops short. */
  'end',
  /** One chunk in the middle is not JSON, the rest is whole; not streamed: a body that is not JSON. */
  'malformed',
  /** Everything but `[DONE]` or `message_stop`; changes nothing for Gemini, and where the answer is not streamed. */
  'no-done',
  /** Status 200 with an error as its JSON body, also where a stream was asked for. */
  'error-body',
  /** The first event of the stream is an error and ends it; not streamed: as `error-body`. */
  'error-event',
  /** An error event in the middle ends the stream; not streamed: as `error-body`. */
  'mid-error',
  /** 400, because the prompt is a token too long. */
  'context-length',
  /** 400 where the last message is the assistant's, to be continued; a normal answer to all others. */
  'prefill',
  /** The answer stops in the middle: `content_filter`, stop reason `refusal`, finish reason `SAFETY`. */
  'content-filter',
] as const;

export type Fault = (typeof FAULTS)[number];

/** Faults that happen in the middle of an answer, after `faultAfter` tokens. */
const MIDDLE_FAULTS: ReadonlySet<Fault | null> = new Set<Fault>([
  'stall',
  'cut',
  'end',
  'malformed',
  'mid-error',
  'content-filter',
]);

export function happensInTheMiddle(fault: Fault | null): boolean {
  return MIDDLE_FAULTS.has(fault);
}
