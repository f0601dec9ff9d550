import { isAdmin } from '../../gateway/admission/caller.ts';
import { builder } from '../schema/builder.ts';
import type { Change, ConfigurationEvent } from '../schema/change-configuration.ts';
import type { Context } from '../schema/context.ts';
import { enumOf } from '../schema/enum-of.ts';

interface ConfigurationChanged extends ConfigurationEvent {
  changedAt: Date;
}

const ActionEnum = enumOf<Change['action']>('ConfigurationAction', 'What was done to a part of the configuration.', {
  CREATED: 'It is new.',
  UPDATED: 'It is different now.',
  DELETED: 'It is gone.',
  ACTIVATED: 'It is the active provider now.',
});

const SubjectEnum = enumOf<Change['subject']>('ConfigurationSubject', 'A kind of part of the configuration.', {
  PROVIDER: 'A provider.',
  PROVIDER_KEY: 'A key of a provider.',
  MODEL: 'A model of the catalog.',
  ROUTE: 'A route, its targets and its traffic split.',
});

const ConfigurationChange = builder.objectRef<Change>('ConfigurationChange').implement({
  description: 'One thing that a change of the configuration did.',
  fields: (t) => ({
    action: t.expose('action', { type: ActionEnum, description: 'What was done.' }),
    subject: t.expose('subject', { type: SubjectEnum, description: 'To what kind of part.' }),
    id: t.exposeID('id', { description: 'Its id.' }),
    name: t.exposeString('name', { description: 'Its slug or name; of a key, what may be shown of it.' }),
  }),
});

const ConfigurationChangedType = builder.objectRef<ConfigurationChanged>('ConfigurationChanged').implement({
  description: 'A new version of the configuration, which this server serves already.',
  fields: (t) => ({
    version: t.field({ type: 'BigInt', description: 'The new version.', resolve: ({ version }) => BigInt(version) }),
    changedAt: t.expose('changedAt', { type: 'DateTime', description: 'When it was changed.' }),
    changedBy: t.exposeID('changedBy', { nullable: true, description: 'The user who changed it. Null: nobody did.' }),
    changes: t.field({
      type: [ConfigurationChange],
      description: 'What was done, in the order in which it was done.',
      resolve: ({ changes }) => changes,
    }),
  }),
});

builder.subscriptionField('configurationChanged', (t) =>
  t.field({
    type: ConfigurationChangedType,
    authScopes: { admin: true },
    description:
      'Each change of providers, keys, models and routes from now on, on whichever server it was made, in the same order everywhere. Ends with OVERLOADED for a reader who falls behind. Admins only.',
    subscribe: (_root, _args, context) => configurationChanges(context),
    visible: (_event, caller) => isAdmin(caller),
    resolve: (event) => event,
  }),
);

/** Waits with each event until this server serves it, so that a query sent in answer sees the change. */
async function* configurationChanges({ services, signal }: Context): AsyncGenerator<ConfigurationChanged> {
  for await (const { payload, at } of services.feed.subscribe('CONFIGURATION', { overflow: 'END' }, signal)) {
    const event = payload as ConfigurationEvent;
    await services.snapshots.atLeast(BigInt(event.version));
    yield { ...event, changedAt: at };
  }
}
