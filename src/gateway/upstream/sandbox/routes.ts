import type { IncomingHttpHeaders } from 'node:http';
import { invalid } from '../../../platform/errors.ts';
import { type Activity, RECORDS_KEPT, type RequestRecord } from './activity.ts';
import { anthropicSandbox } from './anthropic/dialect.ts';
import * as anthropicModels from './anthropic/models.ts';
import { answerChat } from './chat.ts';
import type { ChatCall, SandboxDialect } from './dialect.ts';
import { answerEmbeddings, type ReadEmbeddingAsk } from './embeddings/answer.ts';
import { readBatchEmbedContents, readEmbedContent } from './embeddings/gemini.ts';
import { readOpenAIEmbeddings } from './embeddings/openai.ts';
import type { Exchange } from './exchange.ts';
import { geminiSandbox } from './gemini/dialect.ts';
import * as geminiModels from './gemini/models.ts';
import { openAISandbox } from './openai/dialect.ts';
import * as openAIModels from './openai/models.ts';

/** What a URL leads to, and the dialect of its errors. */
export type Route = PostRoute | GetRoute;

export interface PostRoute {
  method: 'POST';
  dialect: SandboxDialect;
  /** @throws SignalboxError for a request that is wrong. */
  answer(bytes: Buffer, exchange: Exchange): Promise<void>;
}

export interface GetRoute {
  method: 'GET';
  dialect: SandboxDialect;
  /** Whether the provider would look at the key; the sandbox's own records are open. */
  checksKey: boolean;
  /** @throws SignalboxError for a request that is wrong. */
  read(query: URLSearchParams, activity: Activity): unknown;
}

/** The dialect of a URL, also of one that leads nowhere. Where OpenAI and Anthropic share one, the headers tell. */
export function dialectOf(path: string, headers: IncomingHttpHeaders): SandboxDialect {
  if (path.startsWith('/v1beta/')) return geminiSandbox;
  const isAnthropic = path === '/v1/messages' || headers['anthropic-version'] !== undefined;
  return isAnthropic ? anthropicSandbox : openAISandbox;
}

/** @returns undefined for a URL that leads nowhere. */
export function findRoute(path: string, query: URLSearchParams, dialect: SandboxDialect): Route | undefined {
  const fixed = FIXED[path];
  if (fixed) return fixed;
  if (dialect === geminiSandbox) return geminiRoute(path.slice('/v1beta/'.length), query);
  const models = dialect === anthropicSandbox ? anthropicModels : openAIModels;
  if (path === '/v1/models') return read(dialect, models.listModels);
  if (path.startsWith('/v1/models/')) return read(dialect, () => models.readModel(path.slice('/v1/models/'.length)));
  return undefined;
}

const FIXED: Readonly<Record<string, Route>> = {
  '/v1/chat/completions': chat(openAISandbox),
  '/v1/messages': chat(anthropicSandbox),
  '/v1/embeddings': embed(openAISandbox, null, readOpenAIEmbeddings),
  '/v1/sandbox/stats': { ...read(openAISandbox, (_query, activity) => activity.stats()), checksKey: false },
  '/v1/sandbox/requests': { ...read(openAISandbox, readRequests), checksKey: false },
};

/** @param path behind `/v1beta/`: `models`, `models/<id>`, `models/<id>:<method>`. */
function geminiRoute(path: string, query: URLSearchParams): Route | undefined {
  if (path === 'models') return read(geminiSandbox, geminiModels.listModels);
  const [, encoded, method] = /^models\/([^/:]+)(?::(\w+))?$/.exec(path) ?? [];
  const model = encoded === undefined ? null : decode(encoded);
  if (model === null) return undefined;
  switch (method) {
    case undefined:
      return read(geminiSandbox, () => geminiModels.readModel(model));
    case 'generateContent':
      return chat(geminiSandbox, { model, isStream: false });
    case 'streamGenerateContent':
      return query.get('alt') === 'sse'
        ? chat(geminiSandbox, { model, isStream: true })
        : post(geminiSandbox, refuseArray);
    case 'embedContent':
      return embed(geminiSandbox, model, readEmbedContent);
    case 'batchEmbedContents':
      return embed(geminiSandbox, model, readBatchEmbedContents);
    default:
      return undefined;
  }
}

function chat(dialect: SandboxDialect, named: ChatCall['named'] = null): PostRoute {
  return post(dialect, (bytes, exchange) => answerChat(bytes, { dialect, headers: exchange.headers, named }, exchange));
}

/** @param named the model's name, where the URL says it. */
function embed(dialect: SandboxDialect, named: string | null, readAsk: ReadEmbeddingAsk): PostRoute {
  return post(dialect, (bytes, exchange) => answerEmbeddings(bytes, { dialect, named, readAsk }, exchange));
}

function post(dialect: SandboxDialect, answer: PostRoute['answer']): PostRoute {
  return { method: 'POST', dialect, answer };
}

function read(dialect: SandboxDialect, of: GetRoute['read']): GetRoute {
  return { method: 'GET', dialect, checksKey: true, read: of };
}

/** `?first=` says how many, newest first. */
function readRequests(query: URLSearchParams, activity: Activity): RequestRecord[] {
  const first = query.get('first');
  if (first === null) return activity.requests();
  const most = Number(first);
  if (!Number.isInteger(most) || most < 1 || most > RECORDS_KEPT) {
    throw invalid('first', `must be a number from 1 to ${RECORDS_KEPT}`);
  }
  return activity.requests(most);
}

/** A segment of a path; null for one whose percent-encoding is broken. */
function decode(segment: string): string | null {
  try {
    return decodeURIComponent(segment);
  } catch {
    return null;
  }
}

/** Without `alt=sse` the real one streams the elements of a JSON array. */
async function refuseArray(): Promise<void> {
  throw invalid('alt', 'must be sse: the sandbox streams nothing but server-sent events');
}
