import { once } from 'node:events';
import { createServer } from 'node:net';
import type { Settings } from './settings.ts';
import { StartError } from './start-error.ts';

/**
 * Listens on the server's port for a moment.
 * @throws what listening fails with
 */
export async function assertPortFree({ host, port }: Pick<Settings, 'host' | 'port'>): Promise<void> {
  if (port === 0) return;
  const probe = createServer().listen(port, host);
  await once(probe, 'listening');
  await new Promise((resolve) => probe.close(resolve));
}

/** Makes of what listening failed with a StartError that names the setting which chooses another port or address. */
export function namePort(setting: 'PORT' | 'SANDBOX_PORT') {
  return (error: NodeJS.ErrnoException & { address?: string; port?: number }): never => {
    const { code, address, port, message } = error;
    if (code === 'EADDRINUSE')
      throw new StartError(`Another program has the port ${port} of ${address}; choose another one with ${setting}.`);
    if (code === 'EACCES')
      throw new StartError(`This user may not listen on the port ${port}; choose another one with ${setting}.`);
    if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND')
      throw new StartError(`HOST must be an address of this machine (${message}).`);
    throw error;
  };
}
