import { StartError } from '../../start-error.ts';

/** The embedded Postgres cannot be used here. */
export class EmbeddedPostgresError extends StartError {}
