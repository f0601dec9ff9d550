import type { KeyFault, KeyRest } from '../../gateway/routing/keys.ts';
import { enumOf } from '../schema/enum-of.ts';

export const KeyRestReason = enumOf<KeyFault>('KeyRestReason', 'Why a key of a provider rests.', {
  REJECTED: 'The provider does not accept it. It is tried again after 5 minutes, and once it is set anew.',
  LIMITED:
    'It has made as many requests as the provider lets it. It is used again when the provider said, else after 30 seconds.',
});

export const RESTING_UNTIL =
  'Until when this server leaves it alone, because it was at fault; then it is tried again. Null: it is in use.';

export function restingUntil(rest: Readonly<KeyRest> | null): Date | null {
  return rest && new Date(rest.until);
}
