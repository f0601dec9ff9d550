import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { isPublicAddress } from '../../../src/gateway/upstream/public-address.ts';
import { RemoteImages } from '../../../src/gateway/upstream/remote-images.ts';
import { CancelledError, ValidationError } from '../../../src/platform/errors.ts';

const answers: Record<string, (response: ServerResponse) => void> = {
  '/picture.png': (response) => response.setHeader('content-type', 'image/png; x=1').end('PNG'),
  '/moved': (response) => response.writeHead(302, { location: '/picture.png' }).end(),
  '/circle': (response) => response.writeHead(302, { location: '/circle' }).end(),
  '/page': (response) => response.setHeader('content-type', 'text/html').end('<html>'),
  '/gone': (response) => response.writeHead(404).end(),
  '/large': (response) => response.setHeader('content-type', 'image/png').end(Buffer.alloc(12 * 1024 * 1024)),
  '/reset': (response) => response.socket?.resetAndDestroy(),
  '/silent': () => undefined,
};
const server = createServer((request, response) => answers[request.url?.split('?')[0] ?? '']?.(response));
const here = new RemoteImages({ allowsPrivate: true });
const guarded = new RemoteImages();
const never = new AbortController().signal;
let url: string;

beforeAll(async () => {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(async () => {
  await here.close();
  await guarded.close();
  server.closeAllConnections();
  server.close();
});

test('images come with their type and their bytes, also from where they moved to', async () => {
  const images = await here.fetch([`${url}/picture.png`, `${url}/moved`], never);
  const image = { mediaType: 'image/png', data: Buffer.from('PNG').toString('base64') };
  expect([...images]).toEqual([
    [`${url}/picture.png`, image],
    [`${url}/moved`, image],
  ]);
});

test.each([
  ['/circle', 'leads to more than 3 other addresses'],
  ['/page', 'is not an image'],
  ['/gone', 'was answered with HTTP 404'],
  ['/reset', 'could not be fetched'],
])('%s %s, and the client is told', async (path, why) => {
  const fetching = here.fetch([url + path], never);
  await expect(fetching).rejects.toThrow(ValidationError);
  await expect(fetching).rejects.toThrow(why);
});

test('images that are too large together are refused', async () => {
  await expect(here.fetch([`${url}/large`, `${url}/large?2`], never)).rejects.toThrow('too large');
  await expect(
    here.fetch(
      Array.from({ length: 17 }, (_, at) => `${url}/${at}`),
      never,
    ),
  ).rejects.toThrow('at most 16');
});

test('whoever aborts ends the fetching, with their reason', async () => {
  const leaving = new AbortController();
  const fetching = here.fetch([`${url}/silent`], leaving.signal);
  const reason = new CancelledError('The client left.');
  setTimeout(() => leaving.abort(reason), 50);
  await expect(fetching).rejects.toBe(reason);
});

test.each([
  'http://127.0.0.1/a.png',
  'http://[::1]/a.png',
  'http://[::ffff:10.0.0.1]/a.png',
  'http://169.254.169.254/latest/meta-data',
  'http://2130706433/a.png',
  'http://0x7f.1/a.png',
  'http://localhost/a.png',
  'http://10.1.2.3/a.png',
  'http://user:pass@example.com/a.png',
  'http://example.com:8080/a.png',
  'ftp://example.com/a.png',
  'file:///etc/passwd',
])('%s is not called', async (address) => {
  await expect(guarded.fetch([address], never)).rejects.toThrow(
    /not a public address|must not hold credentials|usual port|not an http address/,
  );
});

test('addresses that are not of the public internet are known, however they are written', () => {
  for (const address of ['8.8.8.8', '1.1.1.1', '2606:4700:4700::1111', '::ffff:8.8.8.8'])
    expect([address, isPublicAddress(address)]).toEqual([address, true]);
  for (const address of [
    '10.0.0.1',
    '::1',
    '::',
    'fd00::1',
    'fe80::1',
    '::ffff:127.0.0.1',
    '100.64.0.1',
    '0.0.0.0',
    'x',
  ])
    expect([address, isPublicAddress(address)]).toEqual([address, false]);
});
