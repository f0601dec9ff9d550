import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import type { FastifyInstance } from 'fastify';
import type { Plugin } from 'graphql-yoga';
import { NotFoundError } from '../../../platform/errors.ts';
import { assetsPath, loadAssets } from './assets.ts';

/** Everything comes from this server; the editor writes styles into the page, and has its fonts inside its own. */
const PAGE_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "worker-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  "font-src 'self' data:",
  "connect-src 'self'",
  "form-action 'none'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join('; ');

/** Answers browsers that open `/graphql` with the GraphiQL page. It is small, and asked for anew with each visit. */
export function useGraphiQL(): Plugin {
  return {
    async onRequest({ request, fetchAPI, endResponse }) {
      if (request.method !== 'GET' || !request.headers.get('accept')?.includes('text/html')) return;
      const { version, page } = await loadAssets();
      const etag = `"${version}"`;
      const headers = {
        'content-type': 'text/html; charset=utf-8',
        'content-security-policy': PAGE_POLICY,
        'cache-control': 'no-cache',
        vary: 'accept',
        etag,
      };
      const isKnown = request.headers.get('if-none-match')?.includes(etag);
      endResponse(new fetchAPI.Response(isKnown ? null : page, { status: isKnown ? 304 : 200, headers }));
    },
  };
}

/** The files of the page. Their address names their version, so that browsers keep them until it is another. */
export function registerGraphiQLAssets(app: FastifyInstance): void {
  app.get<{ Params: { version: string; name: string } }>(assetsPath(':version/:name'), async (request, reply) => {
    const { version, files } = await loadAssets();
    const asset = files.get(request.params.name);
    if (!asset || request.params.version !== version) {
      throw new NotFoundError('There is no such file in this version of GraphiQL. Open /graphql anew.');
    }
    reply.headers({
      'content-type': asset.type,
      'cache-control': 'public, max-age=31536000, immutable',
      vary: 'accept-encoding',
    });
    if (!request.headers['accept-encoding']?.includes('gzip')) return promisify(gunzip)(asset.gzipped);
    reply.header('content-encoding', 'gzip');
    return asset.gzipped;
  });
}
