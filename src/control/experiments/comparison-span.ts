import { type MetricsRange, MetricsRangeEnum, type Span, spanOf } from '../metrics/metrics.ts';
import type { Types } from '../schema/builder.ts';

type FieldBuilder = PothosSchemaTypes.InputFieldBuilder<PothosSchemaTypes.ExtendDefaultTypes<Types>, 'InputObject'>;

interface AskedSpan {
  range?: MetricsRange | null | undefined;
  from?: Date | null | undefined;
  to?: Date | null | undefined;
}

/** The fields of every input that is about a span of time; as the arguments of `metrics`. */
export const spanFields = (t: FieldBuilder) => ({
  range: t.field({
    type: MetricsRangeEnum,
    defaultValue: 'LAST_7_DAYS',
    description: 'How far back. Not used when `from` is given.',
  }),
  from: t.field({ type: 'DateTime', description: 'From this time, up to 1,100 days before `to`.' }),
  to: t.field({ type: 'DateTime', description: 'To this time. Default: now.' }),
});

/** @throws ValidationError */
export function askedSpan({ range, from, to }: AskedSpan, now: Date): Span {
  return spanOf({ range: range ?? 'LAST_7_DAYS', from, to }, now);
}
