import pg from 'pg';
import { expect, it, onTestFinished } from 'vitest';
import { migrate } from '../../../src/platform/database/migrate.ts';
import { readMigrationLock, readMigrations } from '../../../src/platform/database/migration-files.ts';
import { applyMigrations } from '../../../src/platform/database/schema-engine.ts';
import { createLog } from '../../../src/platform/log.ts';
import { createDatabase } from '../../kit/database.ts';

it('prices that an admin set before there were overrides become overrides, those of the first start stay the catalog’s', async () => {
  const database = await createDatabase({ isEmpty: true });
  const migrations = await readMigrations();
  const before = migrations.slice(
    0,
    migrations.findIndex(({ name }) => name.includes('prices_and_cost_sources')),
  );
  await applyMigrations(database.connection, before, await readMigrationLock(), true);
  const client = new pg.Client(database.connection);
  await client.connect();
  onTestFinished(async () => {
    await client.end();
    await database.drop();
  });
  await client.query(`
    INSERT INTO price_versions (id, components) VALUES ('price', '{"input": 1, "output": 2}');
    WITH p AS (
      INSERT INTO providers (id, slug, name, kind, updated_at) VALUES (gen_random_uuid(), 'p', 'P', 'OPENAI', now())
      RETURNING id
    )
    INSERT INTO models (id, provider_id, name, display_name, price_version_id, version, created_at, updated_at)
    SELECT gen_random_uuid(), p.id, m.name, m.name, m.price, m.version, m.created_at::timestamptz, now()
    FROM p, (VALUES ('seeded', 'price', 1, '2026-11-01'), ('unpriced', NULL, 1, '2026-11-01'),
      ('changed', 'price', 2, '2026-11-01'), ('added', 'price', 1, '2026-11-02')) AS m (name, price, version, created_at)`);

  await migrate(database.connection, createLog({ logLevel: 'silent' }));
  const { rows } = await client.query(
    'SELECT name, price_version_id AS catalog, override_price_version_id AS override FROM models ORDER BY name',
  );
  expect(rows).toEqual([
    { name: 'added', catalog: null, override: 'price' },
    { name: 'changed', catalog: null, override: 'price' },
    { name: 'seeded', catalog: 'price', override: null },
    { name: 'unpriced', catalog: null, override: null },
  ]);
});
