import { EMBEDDING_MODEL, SANDBOX_MODELS, unknownModel } from '../models.ts';

const MODELS_SINCE = 1_735_689_600;

/** `GET /v1/models`. */
export function listModels() {
  return { object: 'list', data: [...SANDBOX_MODELS, EMBEDDING_MODEL].map(describe) };
}

/** @throws ModelNotFoundError */
export function readModel(id: string) {
  const model = [...SANDBOX_MODELS, EMBEDDING_MODEL].find((one) => one.id === id);
  if (!model) throw unknownModel(id);
  return describe(model);
}

function describe({ id }: { id: string }) {
  return { id, object: 'model', created: MODELS_SINCE, owned_by: 'signalbox-sandbox' };
}
