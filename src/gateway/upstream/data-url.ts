import type { InlineImage } from './dialect.ts';

const LONGEST_HEAD = 500;

/** The content of a base64 data URL; null for any other address. */
export function parseDataUrl(url: string): InlineImage | null {
  const head = url.slice(0, LONGEST_HEAD);
  const comma = head.indexOf(',');
  const found = comma < 0 ? null : /^data:([\w.+-]+\/[\w.+-]+)(?:;[^,;]*)*;base64$/i.exec(head.slice(0, comma));
  if (!found?.[1]) return null;
  return { mediaType: found[1].toLowerCase(), data: url.slice(comma + 1) };
}
