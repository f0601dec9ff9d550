import { subDigest } from './digest.ts';

const SEED_LENGTH = 32;
const SEAL_LENGTH = 16;

/** A signature of reasoning, as providers give to get it back unchanged: Base64 that `isSignature` knows again. */
export function signatureOf(digest: string): string {
  const seed = digest.slice(0, SEED_LENGTH);
  return Buffer.from(seed + sealOf(seed)).toString('base64');
}

/** Whether the sandbox gave this signature, and nothing changed it on the way. */
export function isSignature(text: string): boolean {
  const content = Buffer.from(text, 'base64').toString('latin1');
  const seed = content.slice(0, SEED_LENGTH);
  return content === seed + sealOf(seed);
}

function sealOf(seed: string): string {
  return subDigest(seed, 'signature').slice(0, SEAL_LENGTH);
}
