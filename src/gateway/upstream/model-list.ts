import { storable } from '../../platform/storable.ts';
import { isRecord } from './body.ts';
import { type DialectName, MalformedAnswer } from './dialect.ts';

/** A model in a provider's own list. Null: the list does not say. */
export interface ListedModel {
  /** What goes into `model`. */
  name: string;
  displayName: string | null;
  contextTokens: number | null;
  maxOutputTokens: number | null;
}

export interface ModelPage {
  models: ListedModel[];
  /** What leads to the next page; null: this is the last. */
  next: string | null;
}

const MOST = 2_147_483_647;
const LONGEST_TOKEN = 4_096;
/** Names that the catalog takes. */
const NAME = /^[^\s\p{C}]{1,200}$/u;
/** What each dialect calls the rest of a list, and how much of it comes at once. */
const PAGING: Readonly<Record<DialectName, (next: string | null) => string>> = {
  OPENAI: () => '',
  ANTHROPIC: (next) => `?limit=1000${next === null ? '' : `&after_id=${encodeURIComponent(next)}`}`,
  GEMINI: (next) => `?pageSize=1000${next === null ? '' : `&pageToken=${encodeURIComponent(next)}`}`,
};

/** Where a page of the list is, below the provider's base URL. */
export function modelListPath(dialect: DialectName, path: string, next: string | null): string {
  return path + PAGING[dialect](next);
}

/**
 * Reads a page of a list. Models whose names could not be used are passed over.
 * @throws MalformedAnswer when it is no list
 */
export function readModelPage(dialect: DialectName, text: string): ModelPage {
  let page: unknown;
  try {
    page = JSON.parse(text);
  } catch {
    throw new MalformedAnswer('sent a list of models that is not JSON');
  }
  // Together sends the list by itself.
  const fields = isRecord(page) ? page : { data: page };
  const list = dialect === 'GEMINI' ? (fields.models ?? []) : fields.data;
  if (!Array.isArray(list)) throw new MalformedAnswer('sent no list of models');
  const models = list.filter(isRecord).flatMap((one) => (dialect === 'GEMINI' ? fromGemini(one) : fromOthers(one)));
  return { models: models.filter(({ name }) => NAME.test(name)), next: nextOf(dialect, fields) };
}

function nextOf(dialect: DialectName, page: Record<string, unknown>): string | null {
  if (dialect === 'ANTHROPIC') return page.has_more === true ? tokenOf(page.last_id) : null;
  return dialect === 'GEMINI' ? tokenOf(page.nextPageToken) : null;
}

/** Models that neither answer nor embed are for other things. */
function fromGemini(model: Record<string, unknown>): ListedModel[] {
  const { name, displayName, inputTokenLimit, outputTokenLimit, supportedGenerationMethods: methods } = model;
  const isUsable =
    !Array.isArray(methods) || methods.some((one) => one === 'generateContent' || one === 'embedContent');
  if (typeof name !== 'string' || !isUsable) return [];
  return [
    {
      name: name.replace(/^models\//, ''),
      displayName: textOf(displayName),
      contextTokens: count(inputTokenLimit),
      maxOutputTokens: count(outputTokenLimit),
    },
  ];
}

/** OpenAI says only the id; the other names are those of Anthropic, OpenRouter, Groq, Mistral, Together and vLLM. */
function fromOthers(model: Record<string, unknown>): ListedModel[] {
  const { id, display_name: displayName, name, top_provider: top } = model;
  if (typeof id !== 'string') return [];
  const limits = isRecord(top) ? top : {};
  return [
    {
      name: id,
      displayName: textOf(displayName) ?? textOf(name),
      contextTokens: firstCount([
        ...[model.context_length, model.context_window, model.max_context_length, model.max_model_len],
        model.max_input_tokens,
      ]),
      maxOutputTokens: firstCount([limits.max_completion_tokens, model.max_completion_tokens, model.max_tokens]),
    },
  ];
}

function firstCount(values: readonly unknown[]): number | null {
  return values.map(count).find((value) => value !== null) ?? null;
}

function count(value: unknown): number | null {
  return Number.isInteger(value) && (value as number) > 0 && (value as number) <= MOST ? (value as number) : null;
}

/** What leads to the next page is the provider's own, and goes back as it came. */
function tokenOf(value: unknown): string | null {
  return typeof value === 'string' && value !== '' && value.length <= LONGEST_TOKEN ? storable(value) : null;
}

/** A name for people, in one line. */
function textOf(value: unknown): string | null {
  if (typeof value !== 'string') return null;
  const text = storable(
    value
      .replace(/[\s\p{Cc}]+/gu, ' ')
      .trim()
      .slice(0, 200),
  );
  return text === '' ? null : text;
}
