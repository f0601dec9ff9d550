import { ModelNotFoundError, shorten } from '../../../platform/errors.ts';
import { FAULTS, type Fault } from './faults.ts';

/** A model that the sandbox plays. */
export interface SandboxModel {
  id: string;
  /** Length of an answer where the request does not ask for one. */
  sentences: number;
  /** Reasoning tokens before the answer at medium effort; 0 for models that do not reason. */
  reasoningTokens: number;
  /** What goes wrong with every answer of this model. */
  fault: Fault | null;
}

export const SANDBOX_MODELS: readonly SandboxModel[] = [
  { id: 'sandbox-small', sentences: 2, reasoningTokens: 0, fault: null },
  { id: 'sandbox-large', sentences: 10, reasoningTokens: 0, fault: null },
  { id: 'sandbox-reasoning', sentences: 4, reasoningTokens: 32, fault: null },
  ...FAULTS.map((fault) => ({ id: `sandbox-fault-${fault}`, sentences: 2, reasoningTokens: 0, fault })),
];

const byId = new Map(SANDBOX_MODELS.map((model) => [model.id, model]));

/** @throws ModelNotFoundError when the sandbox plays no model of that name. */
export function findModel(id: string): SandboxModel {
  const model = byId.get(id);
  if (!model) throw new ModelNotFoundError(`The model \`${shorten(id)}\` does not exist in the sandbox.`);
  return model;
}
