/** What a provider said, without a key that it repeats: as it was sent, and as addresses and JSON write it. */
export function withoutSecret(text: string, secret: string): string {
  const inJson = JSON.stringify(secret).slice(1, -1);
  const written = [secret, encodeURIComponent(secret), inJson, inJson.replaceAll('/', '\\/')];
  return written.reduce((clean, one) => clean.replaceAll(one, '…'), text);
}
