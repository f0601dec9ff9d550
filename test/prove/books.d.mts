import type { DatabaseConnection } from '../../src/platform/database/connection.ts';

interface Usage {
  inputTokens: number;
  outputTokens: number;
}

export function compare(
  connection: DatabaseConnection,
  sightings: readonly {
    tag: string;
    outcome: string;
    requestId: string | null;
    usage: Usage | null;
    cost: string | null;
    error: string | null;
  }[],
  calls: readonly (Usage & { provider: string; tag: string; outcome: string })[],
): Promise<{ completions: number; attempts: number; indeterminate: number; violations: string[] }>;
