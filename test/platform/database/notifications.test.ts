import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { listen } from '../../../src/platform/database/notifications.ts';
import { createDatabase, runSql, type TestDatabase } from '../../kit/database.ts';
import { eventually } from '../../kit/eventually.ts';

const END_LISTENERS = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
  WHERE application_name = 'signalbox listen' AND datname = current_database()`;
let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
});
afterAll(() => database.drop());

function record() {
  const heard: string[] = [];
  return {
    heard,
    onNotify: (channel: string, payload: string) => heard.push(`${channel}:${payload}`),
    onReconnect: () => heard.push('connected'),
  };
}

describe('listen', () => {
  it('hears its channels, in order, and no others', async () => {
    const { heard, onNotify, onReconnect } = record();
    const listener = await listen(database.connection, ['one', 'Two'], onNotify, onReconnect);
    await runSql(database.connection, `NOTIFY one, 'a'; NOTIFY three, 'b'; NOTIFY "Two", 'c'; NOTIFY one`);
    await eventually(() => expect(heard).toEqual(['connected', 'one:a', 'Two:c', 'one:']));
    await listener.close();
  });

  it('listens again after its connection was lost, and says so each time', async () => {
    const { heard, onNotify, onReconnect } = record();
    const listener = await listen(database.connection, ['one'], onNotify, onReconnect);
    for (const times of [2, 3]) {
      await runSql(database.connection, END_LISTENERS);
      await eventually(() => expect(heard).toHaveLength(times));
    }
    await runSql(database.connection, `NOTIFY one, 'again'`);
    await eventually(() => expect(heard).toEqual(['connected', 'connected', 'connected', 'one:again']));
    await listener.close();
  });

  it('does not fail where there is no database yet, and begins once there is', async () => {
    const { heard, onNotify, onReconnect } = record();
    const name = `late_${database.connection.database}`;
    const listener = await listen({ ...database.connection, database: name }, ['one'], onNotify, onReconnect);
    expect(heard).toEqual([]);
    await runSql(database.connection, `CREATE DATABASE ${name}`);
    await eventually(() => expect(heard).toEqual(['connected']));
    await listener.close();
    await runSql(database.connection, `DROP DATABASE ${name} WITH (FORCE)`);
  });

  it('holds no connection after it was closed, and does not come back', async () => {
    const { heard, onNotify, onReconnect } = record();
    const listener = await listen(database.connection, ['one'], onNotify, onReconnect);
    await listener.close();
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(heard).toEqual(['connected']);
  });
});
