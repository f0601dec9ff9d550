import type { Caller } from '../../gateway/admission/caller.ts';
import type { Prisma, User } from '../../generated/prisma/client.ts';
import { ConflictError, ValidationError } from '../../platform/errors.ts';
import { builder } from '../schema/builder.ts';
import type { Services } from '../schema/context.ts';
import { accountOf } from '../schema/owners.ts';
import { parseInput } from '../schema/parse-input.ts';
import { PowerLevelEnum } from '../schema/power-level.ts';
import { readBack, type Wanted } from '../schema/read-back.ts';
import { outcome } from '../schema/result.ts';
import { changeAccounts } from './change-accounts.ts';
import { type UpdateMySettingsInput, updateMySettingsInput } from './input.ts';

const MySettings = builder.prismaObject('User', {
  variant: 'MySettings',
  description: 'What a user prefers.',
  fields: (t) => ({
    powerLevel: t.expose('powerLevel', {
      type: PowerLevelEnum,
      description:
        'Which models their completions go to on routes that allow it, unless a request says otherwise. Default: BALANCED.',
    }),
    preferences: t.expose('preferences', {
      type: 'JSON',
      description: 'What a frontend keeps for them. Default: `{}`.',
    }),
  }),
});

const UpdateMySettings = builder.inputType('UpdateMySettingsInput', {
  description: 'Changes to one’s settings. A field that is left out or null stays as it is.',
  fields: (t) => ({
    powerLevel: t.field({
      type: PowerLevelEnum,
      description: 'Which models completions go to on routes that allow it, unless a request says otherwise.',
    }),
    preferences: t.field({
      type: 'JSON',
      description: 'An object that a frontend keeps, up to 16 KiB. It takes the place of the one that is there.',
    }),
  }),
});

builder.queryField('mySettings', (t) =>
  t.prismaField({
    type: MySettings,
    authScopes: { user: true },
    description: 'The settings of whoever is asking: the user who is signed in, or the owner of the admin API key.',
    resolve: (query, _root, _args, { services, caller }) => readSettings(services, query, accountOf(caller).id),
  }),
);

builder.mutationField('updateMySettings', (t) =>
  t.prismaField({
    type: MySettings,
    authScopes: { user: true },
    description:
      'Changes one’s settings. Completions that begin after this answers go by them, on every server within a second.',
    args: { input: t.arg({ type: UpdateMySettings, required: true, description: 'What changes.' }) },
    errors: outcome('settings', 'The settings as they are now.', ValidationError, ConflictError),
    resolve: async (query, _root, { input }, { services, caller }) => {
      const id = await updateMySettings(services, caller, input);
      return readSettings(services, query, id);
    },
  }),
);

/**
 * @returns the user's id.
 * @throws ValidationError
 */
async function updateMySettings(
  services: Pick<Services, 'prisma' | 'accounts'>,
  caller: Caller,
  input: UpdateMySettingsInput,
): Promise<string> {
  const { powerLevel, preferences } = parseInput(updateMySettingsInput, input);
  const { id } = accountOf(caller);
  await changeAccounts(services, (tx, revision) =>
    tx.user.update({
      where: { id },
      data: {
        revision,
        ...(powerLevel == null ? {} : { powerLevel }),
        ...(preferences == null ? {} : { preferences: preferences as Prisma.InputJsonObject }),
      },
    }),
  );
  return id;
}

function readSettings({ prisma }: Pick<Services, 'prisma'>, wanted: Wanted, id: string): Promise<User> {
  return readBack('user', wanted, (query) => prisma.user.findUnique({ ...query, where: { id } }));
}
