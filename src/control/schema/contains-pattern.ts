import { storable } from '../../platform/storable.ts';

/** The pattern of ILIKE for texts that contain `search` as it is written. */
export function containsPattern(search: string): string {
  return `%${storable(search).replace(/[\\%_]/g, '\\$&')}%`;
}
