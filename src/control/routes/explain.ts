import type { Decision } from '../../gateway/routing/decision.ts';
import { type Replay, replay } from '../../gateway/routing/explain.ts';
import type { CandidateFacts, HealthFacts } from '../../gateway/routing/facts.ts';
import { isUuid } from '../../platform/ids.ts';
import { builder } from '../schema/builder.ts';
import type { Services } from '../schema/context.ts';
import { RoutingDecision } from './decision-type.ts';

interface ExplainedRequest {
  requestId: string;
  route: string | null;
  /** Null: there is none on record, or what it was made from is gone. */
  replay: Replay | null;
}

interface Row {
  id: string;
  route_slug: string | null;
  decision: Decision | null;
  candidates: CandidateFacts | null;
  health: HealthFacts | null;
}

const RouteExplanation = builder.objectRef<ExplainedRequest>('RouteExplanation').implement({
  description: 'Why a request went where it did. Admins only.',
  fields: (t) => ({
    requestId: t.exposeID('requestId', { description: 'The request.' }),
    route: t.exposeString('route', {
      nullable: true,
      description: 'Slug of the route it took. Null: the client named a model.',
    }),
    decision: t.expose('replay', {
      type: RoutingDecision,
      nullable: true,
      description:
        'The decision as it was made, explained by making it again from what it was made from. Null: none is on record, because nothing was to be decided (a test names its target, an answer came from the cache), or what it was made from is gone: that is kept for the days that the setting `DECISION_RETENTION_DAYS` says.',
    }),
    isReproduced: t.boolean({
      nullable: true,
      description: 'Whether making the decision again gives the same plan. Null: there is no decision.',
      resolve: (explained) => explained.replay?.isReproduced ?? null,
    }),
  }),
});

builder.queryField('explainRoute', (t) =>
  t.field({
    type: RouteExplanation,
    nullable: true,
    authScopes: { admin: true },
    description:
      'Why a request went where it did: its decision with every candidate, within a second of its end. Null: there is no such request. Admins only.',
    args: { requestId: t.arg.id({ required: true, description: 'The `requestId` of its answer.' }) },
    resolve: (_root, { requestId }, { services }) => explainRequest(services, requestId),
  }),
);

/** One statement. */
async function explainRequest({ pool }: Pick<Services, 'pool'>, requestId: string): Promise<ExplainedRequest | null> {
  if (!isUuid(requestId)) return null;
  const { rows } = await pool.query<Row>(
    `SELECT c.id, c.route_slug, c.decision, f.content AS candidates, h.content AS health
       FROM completions c
       LEFT JOIN routing_facts f ON f.id = c.decision ->> 'candidates'
       LEFT JOIN routing_facts h ON h.id = c.decision ->> 'health'
      WHERE c.id = $1`,
    [requestId],
  );
  const [row] = rows;
  if (!row) return null;
  const { id, route_slug: route, decision, candidates, health } = row;
  return {
    requestId: id,
    route,
    replay: decision && candidates && health && replay(decision, candidates, health),
  };
}
