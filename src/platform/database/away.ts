/** What Postgres, the system and Prisma call it when a connection is refused, lost or not to be had in time. */
const CODES = new Set([
  ...['08000', '08001', '08003', '08004', '08006', '53300', '57P01', '57P02', '57P03', '57P05', '25P03'],
  ...['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'EHOSTUNREACH', 'ENETUNREACH', 'ENOTFOUND', 'EAI_AGAIN'],
  ...['P1001', 'P1002', 'P1008', 'P1017', 'P2024', 'P2028'],
  // Cancelled because it took too long.
  '57014',
]);
const KINDS = new Set(['DatabaseNotReachable', 'ConnectionClosed', 'SocketTimeout', 'TooManyConnections']);
/** Of `pg`, which gives these no code. */
const MESSAGES = /^(?:Connection terminated|timeout exceeded when trying to connect|Query read timeout)/;

interface Clues {
  code?: unknown;
  syscall?: unknown;
  /** Of Prisma: what its adapter met. */
  meta?: { driverAdapterError?: { cause?: { kind?: unknown; originalCode?: unknown } } };
}

/** Whether an error of `pg` or Prisma says that the database is away or has too much to do, and trying again may help. */
export function isDatabaseAway(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const { code, syscall, meta } = error as Error & Clues;
  // The socket of a Postgres on this machine is not there.
  if (code === 'ENOENT') return syscall === 'connect' || error.name.startsWith('Prisma');
  const { kind, originalCode } = meta?.driverAdapterError?.cause ?? {};
  const isKnown = [code, originalCode].some((one) => typeof one === 'string' && CODES.has(one));
  return isKnown || (typeof kind === 'string' && KINDS.has(kind)) || MESSAGES.test(error.message);
}
