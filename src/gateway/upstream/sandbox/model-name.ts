/** A model's name as a request has it: `sandbox-small`, or with controls behind it `sandbox-small;fault=stall`. */
export interface ModelName {
  asked: string;
  /** The model that is played. */
  id: string;
  /** Written as in the header; empty for none. */
  controls: string;
}

/** @param value what stands where the name should; a value that is no text, which is refused later, names nothing. */
export function readModelName(value: unknown): ModelName {
  const asked = typeof value === 'string' ? value : '';
  const end = asked.indexOf(';');
  return end < 0
    ? { asked, id: asked, controls: '' }
    : { asked, id: asked.slice(0, end).trimEnd(), controls: asked.slice(end + 1) };
}
