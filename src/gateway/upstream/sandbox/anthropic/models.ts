import { invalid } from '../../../../platform/errors.ts';
import { type ChatModel, findChatModel, SANDBOX_MODELS } from '../models.ts';

const DEFAULT_PAGE = 20;
const LARGEST_PAGE = 1000;

/**
 * `GET /v1/models` with an `anthropic-version`: chat models, a page at a time.
 * @param query `limit` with `after_id` or `before_id`.
 * @throws ValidationError
 */
export function listModels(query: URLSearchParams) {
  const limit = Number(query.get('limit') ?? DEFAULT_PAGE);
  if (!Number.isInteger(limit) || limit < 1 || limit > LARGEST_PAGE) {
    throw invalid('limit', `must be a whole number from 1 to ${LARGEST_PAGE}`);
  }
  const after = query.get('after_id');
  const before = query.get('before_id');
  const from = after === null ? 0 : SANDBOX_MODELS.indexOf(findChatModel(after)) + 1;
  const to = before === null ? SANDBOX_MODELS.length : SANDBOX_MODELS.indexOf(findChatModel(before));
  const rest = SANDBOX_MODELS.slice(from, to);
  const page = before === null ? rest.slice(0, limit) : rest.slice(-limit);
  return {
    data: page.map(describe),
    has_more: page.length < rest.length,
    first_id: page[0]?.id ?? null,
    last_id: page.at(-1)?.id ?? null,
  };
}

/** @throws ModelNotFoundError */
export function readModel(id: string) {
  return describe(findChatModel(id));
}

function describe({ id, displayName, contextTokens, maxOutputTokens }: ChatModel) {
  return {
    type: 'model',
    id,
    display_name: displayName,
    created_at: '2025-01-01T00:00:00Z',
    max_input_tokens: contextTokens,
    max_tokens: maxOutputTokens,
  };
}
