import type { CompletionEvent, CompletionRequest } from './completion.ts';

export interface Gateway {
  complete(request: CompletionRequest): AsyncGenerator<CompletionEvent, void, undefined>;
}
