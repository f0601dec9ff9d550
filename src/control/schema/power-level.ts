import type { PowerLevel } from '../../gateway/routing/power-level.ts';
import { enumOf } from './enum-of.ts';

export const PowerLevelEnum = enumOf<PowerLevel>(
  'PowerLevel',
  'What a model may cost, by its blended price for 1M tokens: three parts input, one part output.',
  { ECO: 'Under $0.50.', BALANCED: '$0.50 to $5.', PRECISION: 'Over $5.' },
);
