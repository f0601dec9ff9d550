/** Whether `text` is Base64 of at least a byte. Decoded to see it: a pattern would exhaust its stack on an image. */
export function isBase64(text: string): boolean {
  return text !== '' && text.length % 4 === 0 && Buffer.from(text, 'base64').toString('base64') === text;
}
