import { enumOf } from '../schema/enum-of.ts';

export const RouteModeEnum = enumOf('RouteMode', 'What a client may say after a route’s name.', {
  AUTO: 'Nothing: the strategy picks the target.',
  SPECIFIC:
    'A hint: `<route>/<provider>`, `<route>/<model>` or `<route>/<provider>/<model>` narrows the targets, and the strategy picks among those.',
  MULTI:
    'Nothing. Targets of the same priority are a group: the strategy picks within the first group, and the next group stands in once all of it has failed.',
});

export const RouteStrategyEnum = enumOf(
  'RouteStrategy',
  'How a route picks one of its targets that can be used now. When the pick fails, the others stand in.',
  {
    FAILOVER: 'The first by priority; the next ones stand in.',
    ROUND_ROBIN: 'Each in turn, on every server by itself; those that follow in the rotation stand in.',
    WEIGHTED:
      'The traffic split: each exactly as often as its weight says, on every server by itself; the heaviest others stand in. What cannot be used leaves its share to the others. Weight 0 gets nothing.',
    COST: 'The cheapest first, by blended price: three parts input, one part output. Those without a price come last.',
    LATENCY:
      'The fastest first, by the live median on every server by itself. One that is not known yet gets a share of the requests until it is.',
    BALANCED: 'The best first by cost (40%), latency (40%) and quality (20%), each relative to the other candidates.',
    CUSTOM: 'The best first by cost, latency and quality, by the route’s own weights.',
  },
);

export const ModelStrategyEnum = enumOf(
  'ModelStrategy',
  'How a target picks one of its models that can be used now. When the pick fails, the others stand in last: after the other targets of the route.',
  {
    FAILOVER: 'The first by their order.',
    ROUND_ROBIN: 'Each in turn, on every server by itself.',
    COST: 'The cheapest, by blended price: three parts input, one part output. Those without a price come last.',
    LATENCY: 'The fastest, by the live median on every server by itself.',
    BALANCED: 'The best by cost (40%), latency (40%) and quality (20%), each relative to the others.',
  },
);

export const StickyKeyEnum = enumOf(
  'StickyKey',
  'What requests have in common that always go to the same target of a traffic split.',
  {
    SESSION: 'The session key that the client sends with them. Requests without one are not sticky.',
    USER: 'The user. Requests of nobody who is signed in are not sticky.',
    API_KEY: 'The API key. Requests without one are not sticky.',
  },
);

export const RestartPolicyEnum = enumOf('RestartPolicy', 'What happens when an answer that has begun breaks off.', {
  NEVER: 'The client gets an error.',
  OTHER_TARGET: 'Another target begins anew, and the client is told to discard what it has.',
});

export const RefusalPolicyEnum = enumOf(
  'RefusalPolicy',
  'What happens when a provider refuses a request for its content.',
  {
    PROPAGATE: 'The client is told.',
    OTHER_TARGET: 'Another target is asked.',
  },
);
