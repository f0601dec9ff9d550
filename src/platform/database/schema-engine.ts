import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { PrismaPg } from '@prisma/adapter-pg';
import { bindMigrationAwareSqlAdapterFactory, ColumnTypeEnum, DriverAdapterError } from '@prisma/driver-adapter-utils';
import type { SchemaEngine } from '@prisma/schema-engine-wasm';
import pg from 'pg';
import { type DatabaseConnection, poolConfig } from './connection.ts';
import type { Migration } from './migration-files.ts';

/** Postgres's one-byte "char", which its catalogs use and the adapter does not know, and text. */
const CHAR_OID = 18;
const TEXT_OID = 25;
const NO_FILTER = { externalTables: [], externalEnums: [] };

/** A statement of a migration failed. */
export class MigrationScriptError extends Error {
  constructor(migration: string, cause: Error) {
    super(`${migration}: ${cause.message}`, { cause });
  }
}

/**
 * Applies the migrations that the database does not have, and records them in `_prisma_migrations`.
 * @param isOneTransaction all or none: what fails leaves nothing behind, not even a record
 * @throws MigrationScriptError with what Postgres said; other errors of the engine as they are
 */
export async function applyMigrations(
  connection: DatabaseConnection,
  migrations: readonly Migration[],
  lockFile: string,
  isOneTransaction: boolean,
): Promise<void> {
  const migrationDirectories = migrations.map(({ name, sql }) => ({
    path: name,
    migrationFile: { path: 'migration.sql', content: { tag: 'ok' as const, value: sql } },
  }));
  const lockfile = { path: 'migration_lock.toml', content: lockFile };
  await withEngine(connection, undefined, async (engine, { pool, failure }) => {
    if (isOneTransaction) await pool.query('BEGIN');
    try {
      await engine.applyMigrations({
        migrationsList: { baseDir: '.', lockfile, shadowDbInitScript: '', migrationDirectories },
        filters: NO_FILTER,
      });
    } catch (error) {
      // The engine's own error is about what it could not do afterwards.
      const failed = failure();
      if (!failed) throw error;
      const name = migrations.find(({ sql }) => sql === failed.script)?.name ?? 'migration';
      throw new MigrationScriptError(name, failed.error);
    }
    if (isOneTransaction) await pool.query('COMMIT');
  });
}

/** The SQL that turns the database into what `schema` (the text of a schema.prisma) says; empty when they agree. */
export async function diffToSchema(connection: DatabaseConnection, schema: string): Promise<string> {
  const files = [{ path: 'schema.prisma', content: schema }];
  return withEngine(connection, [['schema.prisma', schema]], async (engine) => {
    const { stdout } = await engine.diff({
      from: { tag: 'schemaDatasource', files, configDir: '.' },
      to: { tag: 'schemaDatamodel', files },
      script: true,
      exitCode: null,
      filters: NO_FILTER,
    });
    const sql = stdout?.trim() ?? '';
    return sql === '-- This is an empty migration.' ? '' : sql;
  });
}

/** What the engine works on: one connection, and the script that failed on it, if one did. */
interface Session {
  pool: pg.Pool;
  failure(): { script: string; error: pg.DatabaseError } | null;
}

async function withEngine<T>(
  connection: DatabaseConnection,
  datamodels: [string, string][] | undefined,
  use: (engine: SchemaEngine, session: Session) => Promise<T>,
): Promise<T> {
  // One connection, so that the engine's own lock and a transaction around it hold for all that it does.
  const limits = { max: 1, applicationName: 'signalbox migrate', statementTimeoutMs: 0 };
  const pool = new pg.Pool({
    ...poolConfig(connection, limits),
    idleTimeoutMillis: 0,
    idle_in_transaction_session_timeout: 0,
  });
  pool.on('error', () => undefined);
  let failure: ReturnType<Session['failure']> = null;
  const charColumns = reportCharAsText(pool);
  const factory = new PrismaPg(pool);
  const adapterFactory = bindMigrationAwareSqlAdapterFactory({
    provider: factory.provider,
    adapterName: factory.adapterName,
    connect: async () => {
      const adapter = await factory.connect();
      const queryRaw = adapter.queryRaw.bind(adapter);
      adapter.queryRaw = async (query) => {
        const result = await queryRaw(query);
        for (const column of charColumns.get(result.rows) ?? []) result.columnTypes[column] = ColumnTypeEnum.Character;
        return result;
      };
      // The adapter's own splits at every semicolon, also inside texts and functions.
      adapter.executeScript = async (script) => {
        await pool.query(script).catch((error: pg.DatabaseError) => {
          failure = { script, error };
          const { code = '', severity = '', message, detail, column, hint } = error;
          throw new DriverAdapterError({ kind: 'postgres', code, severity, message, detail, column, hint });
        });
      };
      return adapter;
    },
    connectToShadowDb: () => factory.connectToShadowDb(),
  });
  try {
    const { SchemaEngine } = await loadEngine();
    const engine = await SchemaEngine.new({ datamodels }, () => undefined, adapterFactory);
    try {
      return await use(engine, { pool, failure: () => failure });
    } finally {
      engine.free();
    }
  } finally {
    await pool.end();
  }
}

/** Lets the adapter read "char" as text. Returns which columns of which result's rows were "char". */
function reportCharAsText(pool: pg.Pool): WeakMap<object, number[]> {
  const charColumns = new WeakMap<object, number[]>();
  const query = pool.query.bind(pool) as (config: pg.QueryConfig | string) => Promise<pg.QueryResult>;
  Object.defineProperty(pool, 'query', {
    value: async (config: pg.QueryConfig | string) => {
      const result = await query(config);
      for (const [index, field] of (result.fields ?? []).entries()) {
        if (field.dataTypeID !== CHAR_OID) continue;
        field.dataTypeID = TEXT_OID;
        charColumns.set(result.rows, [...(charColumns.get(result.rows) ?? []), index]);
      }
      return result;
    },
  });
  return charColumns;
}

/** The part of WebAssembly used here; TypeScript has its types only together with those of a browser. */
declare const WebAssembly: {
  instantiate(code: Uint8Array, imports: object): Promise<{ instance: { exports: EngineExports } }>;
};
type EngineExports = { __wbindgen_start(): void };
type Glue = typeof import('@prisma/schema-engine-wasm') & { __wbg_set_wasm(exports: EngineExports): void };

let glue: Promise<Glue> | undefined;

/** Once in a process: a second instance would free the memory of the first. */
function loadEngine(): Promise<Glue> {
  glue ??= instantiateEngine();
  return glue;
}

/** Node cannot import wasm without a flag, so it is instantiated by hand. */
async function instantiateEngine(): Promise<Glue> {
  const folder = dirname(createRequire(import.meta.url).resolve('@prisma/schema-engine-wasm'));
  const glue = (await import('@prisma/schema-engine-wasm/schema_engine_bg')) as unknown as Glue;
  Object.assign(globalThis, { PRISMA_WASM_PANIC_REGISTRY: { set_message: failOnPanic } });
  const code = await readFile(join(folder, 'schema_engine_bg.wasm'));
  const { instance } = await WebAssembly.instantiate(code, { './schema_engine_bg.js': glue });
  glue.__wbg_set_wasm(instance.exports);
  instance.exports.__wbindgen_start();
  return glue;
}

/** The engine tells a hook with a name of its own when it meets a bug in itself. */
function failOnPanic(message: string): never {
  throw new Error(`The schema engine failed: ${message}`);
}
