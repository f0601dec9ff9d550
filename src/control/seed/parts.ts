import type { Services } from '../schema/context.ts';

/** What seeding works with; the other services do not exist yet when it runs. */
export type SeedParts = Pick<Services, 'prisma' | 'secretBox' | 'settings' | 'log'>;
