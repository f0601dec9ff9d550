import type { Comparison } from '../../generated/prisma/client.ts';
import { builder } from '../schema/builder.ts';
import { connectionOf } from '../schema/connections.ts';
import { enumOf } from '../schema/enum-of.ts';

export const WinnerEnum = enumOf<Comparison['winner']>('ComparisonWinner', 'Which of two answers is the better one.', {
  A: 'The first.',
  B: 'The second.',
  TIE: 'They are as good.',
});

export const JudgeEnum = enumOf<Comparison['judge']>('ComparisonJudge', 'Who judges two answers.', {
  HUMAN: 'A person.',
  MODEL: 'A model.',
});

export const ComparisonType = builder.objectRef<Comparison>('Comparison').implement({
  description: 'A judgement of two answers to one prompt. Admins only.',
  fields: (t) => ({
    id: t.exposeID('id', { description: 'A UUIDv7.' }),
    routeId: t.exposeID('routeId', {
      nullable: true,
      description: 'Id of the route that the answers came from. Null: from elsewhere.',
    }),
    variantA: t.exposeID('targetAId', {
      nullable: true,
      description: 'Id of the route’s target that gave the first answer. Null: another source.',
    }),
    variantB: t.exposeID('targetBId', {
      nullable: true,
      description: 'Id of the route’s target that gave the second answer. Null: another source.',
    }),
    prompt: t.exposeString('prompt', { description: 'What was asked.' }),
    answerA: t.exposeString('answerA', { description: 'The first answer.' }),
    answerB: t.exposeString('answerB', { description: 'The second answer.' }),
    winner: t.expose('winner', { type: WinnerEnum, description: 'Which is the better one.' }),
    judge: t.expose('judge', { type: JudgeEnum, description: 'Who judged them.' }),
    judgeName: t.exposeString('judgeName', {
      nullable: true,
      description: 'What the person or the model is called. Null: not said.',
    }),
    scoreA: t.exposeFloat('scoreA', { nullable: true, description: 'Of the first answer, 0 to 100. Null: not said.' }),
    scoreB: t.exposeFloat('scoreB', { nullable: true, description: 'Of the second answer, 0 to 100. Null: not said.' }),
    notes: t.exposeString('notes', { nullable: true, description: 'Why. Null: not said.' }),
    recordedBy: t.exposeID('recordedBy', { nullable: true, description: 'Id of the user who recorded it.' }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was recorded.' }),
  }),
});

export const ComparisonConnection = connectionOf(ComparisonType, 'Comparison', 'judgements');
