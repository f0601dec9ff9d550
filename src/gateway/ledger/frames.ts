import { crc32 } from 'node:zlib';

/** Before each payload: its length and its CRC-32, both u32 little-endian. */
export const FRAME_OVERHEAD = 8;

/** Far above any real record, so that a damaged length is recognised and never allocated. */
export const MAX_PAYLOAD_BYTES = 1 << 20;

/** Completes the frame at `offset`, whose payload of `length` bytes is already in place behind the overhead. */
export function sealFrame(buffer: Buffer, offset: number, length: number): void {
  const payload = offset + FRAME_OVERHEAD;
  buffer.writeUInt32LE(length, offset);
  buffer.writeUInt32LE(crc32(buffer.subarray(payload, payload + length)), offset + 4);
}

/** One payload as a frame of its own. */
export function frame(payload: string): Buffer {
  const length = Buffer.byteLength(payload);
  const buffer = Buffer.allocUnsafe(FRAME_OVERHEAD + length);
  buffer.write(payload, FRAME_OVERHEAD);
  sealFrame(buffer, 0, length);
  return buffer;
}

/**
 * The payload of the frame at `offset` of the bytes before `end`. `SHORT`: it goes on behind `end`, as far as its
 * length tells. `DAMAGED`: no frame begins here. A length of 0 is damage: it is what a disk's lost block looks like.
 */
export function unframe(buffer: Buffer, offset: number, end: number): Buffer | 'SHORT' | 'DAMAGED' {
  if (end - offset < FRAME_OVERHEAD) return 'SHORT';
  const length = buffer.readUInt32LE(offset);
  if (length === 0 || length > MAX_PAYLOAD_BYTES) return 'DAMAGED';
  const start = offset + FRAME_OVERHEAD;
  if (end - start < length) return 'SHORT';
  const payload = buffer.subarray(start, start + length);
  return crc32(payload) === buffer.readUInt32LE(offset + 4) ? payload : 'DAMAGED';
}
