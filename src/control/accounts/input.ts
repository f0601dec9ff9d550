import { z } from 'zod';
import { POWER_LEVELS } from '../../gateway/routing/power-level.ts';
import { jsonObject, jsonObjectUpTo, text } from '../schema/input-rules.ts';
import { PASSWORD_LENGTH } from './passwords.ts';

const MOST_ROUTES = 100;
const PREFERENCES_BYTES = 16 * 1024;

const password = z
  .string()
  .min(PASSWORD_LENGTH.min, `must have at least ${PASSWORD_LENGTH.min} characters`)
  .max(PASSWORD_LENGTH.max, `must have at most ${PASSWORD_LENGTH.max} characters`);

export const logInInput = z.object({
  email: z.string().trim().toLowerCase().pipe(z.email('must be an e-mail address').max(254)),
  password,
});

export const refreshTokenInput = z.object({
  token: z.string().min(1, 'must not be empty').max(4096, 'is too long to be a token'),
});

export const createApiKeyInput = z.object({
  name: text(100),
  isAdmin: z.boolean().nullish(),
  ownerId: z.string().nullish(),
  allowedRoutes: z.array(text(100)).max(MOST_ROUTES, `must be at most ${MOST_ROUTES}`).nullish(),
  rateLimitPerMinute: z.int().min(1, 'must be at least 1').nullish(),
  expiresAt: z
    .date()
    .refine((time) => time.getTime() > Date.now(), 'must be in the future')
    .nullish(),
  metadata: jsonObject.nullish(),
});

export const updateMySettingsInput = z.object({
  powerLevel: z.enum(POWER_LEVELS).nullish(),
  preferences: jsonObjectUpTo(PREFERENCES_BYTES).nullish(),
});

export type LogInInput = z.input<typeof logInInput>;
export type RefreshTokenInput = z.input<typeof refreshTokenInput>;
export type CreateApiKeyInput = z.input<typeof createApiKeyInput>;
export type UpdateMySettingsInput = z.input<typeof updateMySettingsInput>;
