import { SettingsError } from '../../settings.ts';

/** The embedded Postgres cannot be used here. The message says why in a sentence, and what would help. */
export class EmbeddedPostgresError extends SettingsError {}
