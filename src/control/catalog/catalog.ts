import { ConflictError, ModelNotFoundError, ProviderNotFoundError, ValidationError } from '../../platform/errors.ts';
import { builder } from '../schema/builder.ts';
import { outcome } from '../schema/result.ts';
import { CreateModel, UpdateModel } from './input-types.ts';
import { ModelFilter } from './model-filter.ts';
import { ModelOrder } from './model-order.ts';
import { modelPageArgs, modelPageComplexity, modelsPage } from './model-pages.ts';
import { findModel } from './model-rows.ts';
import { Model, ModelConnection } from './model-type.ts';
import { createModel, deleteModel, updateModel } from './service.ts';

export { type Discovered, writeDiscovered } from './discover.ts';
export { modelName, modelsInput } from './input.ts';
export { ModelInput } from './input-types.ts';
export { modelPageArgs, modelPageComplexity, providerModelsPage } from './model-pages.ts';
export { ModelConnection } from './model-type.ts';
export { writeModels } from './write-models.ts';

builder.queryFields((t) => ({
  models: t.field({
    type: ModelConnection,
    authScopes: { public: true },
    description: 'The catalog: the models of all providers, enabled or not.',
    args: {
      filter: t.arg({ type: ModelFilter, description: 'Default: all.' }),
      orderBy: t.arg({ type: ModelOrder, description: 'Default: by name.' }),
      ...modelPageArgs(),
    },
    complexity: modelPageComplexity,
    resolve: (_root, args, context) => modelsPage(context, args),
  }),
  model: t.field({
    type: Model,
    nullable: true,
    authScopes: { public: true },
    description: 'One model; null when there is none.',
    args: { id: t.arg.id({ required: true, description: 'Its id or its slug, such as `openai/gpt-4.1`.' }) },
    resolve: (_root, { id }, { services }) => findModel(services.prisma, id),
  }),
}));

builder.mutationFields((t) => ({
  createModel: t.field({
    type: Model,
    authScopes: { admin: true },
    description: 'Adds a model to the catalog, after the others of its provider. Admins only.',
    args: { input: t.arg({ type: CreateModel, required: true, description: 'What it shall be.' }) },
    errors: outcome('model', 'The new model.', ValidationError, ProviderNotFoundError, ConflictError),
    resolve: (_root, { input }, { services, caller }) => createModel(services, caller, input),
  }),
  updateModel: t.field({
    type: Model,
    authScopes: { admin: true },
    description: 'Changes a model of the catalog. What was used before keeps the price it had. Admins only.',
    args: { input: t.arg({ type: UpdateModel, required: true, description: 'Which one, and what changes.' }) },
    errors: outcome('model', 'The model as it is now.', ValidationError, ModelNotFoundError, ConflictError),
    resolve: (_root, { input }, { services, caller }) => updateModel(services, caller, input),
  }),
  deleteModel: t.field({
    type: Model,
    authScopes: { admin: true },
    description:
      'Takes a model out of the catalog; its costs stay in the ledger. Refused while a target of a route names it, or a route falls back on its name and no other model has it. `<provider>/<model>` still sends to it, without its limits and the prices that were set here: disable it to forbid that. Admins only.',
    args: { id: t.arg.id({ required: true, description: 'Its id or its slug.' }) },
    errors: outcome('model', 'The model as it was.', ModelNotFoundError, ConflictError),
    resolve: (_root, { id }, { services, caller }) => deleteModel(services, caller, id),
  }),
}));
