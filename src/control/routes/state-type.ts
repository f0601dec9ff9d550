import type { RouteState as State } from '../../gateway/inspect-route.ts';
import type { OpenCircuit } from '../../gateway/routing/circuit.ts';
import { builder } from '../schema/builder.ts';
import { enumOf } from '../schema/enum-of.ts';

const CircuitStateEnum = enumOf<OpenCircuit['state'] | 'CLOSED'>(
  'CircuitState',
  'Whether requests are sent to a model of a provider.',
  {
    CLOSED: 'They are.',
    OPEN: 'They are not: it failed again and again. Once in a while one request is, to see how it does.',
    HALF_OPEN: 'One is on its way to see how it does; the others wait for what comes of it, elsewhere.',
  },
);

const time = (at: number | null | undefined) => (at == null ? null : new Date(at));

const RouteTargetState = builder.objectRef<State['targets'][number]>('RouteTargetState').implement({
  description: 'How one model of one target does, as the server that answers sees it. Admins only.',
  fields: (t) => ({
    targetId: t.exposeID('targetId', {
      nullable: true,
      description: 'The route’s target. Null: it stands for a provider that the route does not name.',
    }),
    provider: t.exposeString('provider', { description: 'Slug of the provider.' }),
    model: t.exposeString('model', { description: 'Name of the model.' }),
    circuit: t.field({
      type: CircuitStateEnum,
      description: 'Whether requests are sent to it.',
      resolve: ({ circuit }) => circuit?.state ?? 'CLOSED',
    }),
    recentFailures: t.int({
      nullable: true,
      description: 'How many of the last twenty calls failed, when the circuit is not closed. Null: it is closed.',
      resolve: ({ circuit }) => circuit?.failures ?? null,
    }),
    openSince: t.field({
      type: 'DateTime',
      nullable: true,
      description: 'Since when the circuit is not closed. Null: it is.',
      resolve: ({ circuit }) => time(circuit?.since),
    }),
    probeAt: t.field({
      type: 'DateTime',
      nullable: true,
      description:
        'From when on the next request sees how it does. Null: the circuit is closed, or a request is on its way.',
      resolve: ({ circuit }) => time(circuit?.probeAt),
    }),
    restingUntil: t.field({
      type: 'DateTime',
      nullable: true,
      description: 'Until when all keys of its provider rest, as that asked for. Null: they do not.',
      resolve: ({ restingUntil }) => time(restingUntil),
    }),
    firstTokenMs: t.int({
      nullable: true,
      description: 'Median time until the first token of streams, in milliseconds. Null: too little is known.',
      resolve: ({ firstTokenMs }) => firstTokenMs && Math.round(firstTokenMs),
    }),
    answerMs: t.int({
      nullable: true,
      description: 'Median time of answers that are not streamed, in milliseconds. Null: too little is known.',
      resolve: ({ answerMs }) => answerMs && Math.round(answerMs),
    }),
  }),
});

export const RouteState = builder.objectRef<State>('RouteState').implement({
  description: 'How a route does, as the server that answers sees it. Admins only.',
  fields: (t) => ({
    picks: t.field({
      type: 'BigInt',
      description:
        'Picks since the server started that a strategy counted: those without a hint and without a sticky key.',
      resolve: ({ picks }) => picks,
    }),
    targets: t.field({
      type: [RouteTargetState],
      description: 'Each model of each target that can be used, in the order of the configuration.',
      resolve: ({ targets }) => [...targets],
    }),
  }),
});
