import type { InlineImage } from './dialect.ts';

/** The content of a base64 data URL; null for any other address. */
export function parseDataUrl(url: string): InlineImage | null {
  const found = /^data:([\w.+-]+\/[\w.+-]+)(?:;[^,;]*)*;base64,/i.exec(url);
  if (!found?.[1]) return null;
  return { mediaType: found[1].toLowerCase(), data: url.slice(found[0].length) };
}
