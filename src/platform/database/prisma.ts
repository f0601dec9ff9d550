import { PrismaPg } from '@prisma/adapter-pg';
import { PrismaClient } from '../../generated/prisma/client.ts';
import { type DatabaseConnection, poolConfig } from './connection.ts';

/**
 * The Prisma client of the control plane, with a pool of its own of at most `poolMax` connections. Close it with
 * `$disconnect()`.
 * @param onStatement told of each SQL statement, so that a test can count them
 */
export function createPrisma(
  connection: DatabaseConnection,
  poolMax: number,
  onStatement?: (sql: string) => void,
): PrismaClient {
  const adapter = new PrismaPg(poolConfig(connection, { max: poolMax, applicationName: 'signalbox control' }));
  if (!onStatement) return new PrismaClient({ adapter });
  const prisma = new PrismaClient({ adapter, log: [{ emit: 'event', level: 'query' }] });
  prisma.$on('query', ({ query }) => onStatement(query));
  return prisma;
}
