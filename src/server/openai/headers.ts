import type { AnswerHead, CompletionReport } from '../../gateway/completion.ts';
import { toUsd } from '../../platform/money.ts';

/** Header names and values, filled in place: copying them for every answer is what they would cost most. */
export type Headers = Record<string, string | string[] | number | undefined>;

/** What is known of an answer before its first byte. */
export function addHead(headers: Headers, head: AnswerHead): void {
  headers['x-signalbox-request-id'] = head.requestId;
  headers['x-signalbox-provider'] = head.provider;
  headers['x-signalbox-model'] = safe(head.model);
  if (head.route !== null) headers['x-signalbox-route'] = head.route;
  if (head.targetId !== null) headers['x-signalbox-variant'] = head.targetId;
  if (head.isCached) headers['x-signalbox-cached'] = 'true';
  headers['x-signalbox-attempts'] = String(head.attempts);
  addWarnings(headers, head.warnings);
}

/** All facts of an answer that has ended; for answers that are not streamed, and for failures. */
export function addReport(headers: Headers, report: CompletionReport): void {
  headers['x-signalbox-request-id'] = report.requestId;
  headers['x-signalbox-attempts'] = String(report.attempts.length);
  headers['x-signalbox-latency-ms'] = String(report.latencyMs);
  addWarnings(headers, report.warnings);
  if (report.provider !== null) headers['x-signalbox-provider'] = report.provider;
  if (report.model !== null) headers['x-signalbox-model'] = safe(report.model);
  if (report.route !== null) headers['x-signalbox-route'] = report.route;
  if (report.targetId !== null) headers['x-signalbox-variant'] = report.targetId;
  if (report.isCached) headers['x-signalbox-cached'] = 'true';
  if (report.usage.inputTokens !== null) headers['x-signalbox-input-tokens'] = String(report.usage.inputTokens);
  if (report.usage.outputTokens !== null) headers['x-signalbox-output-tokens'] = String(report.usage.outputTokens);
  if (report.cost !== null) headers['x-signalbox-cost'] = toUsd(report.cost);
}

/** One header for each, as they hold commas. */
function addWarnings(headers: Headers, warnings: readonly string[]): void {
  if (warnings.length > 0) headers['x-signalbox-warnings'] = warnings.map(safe);
}

/** A model's name comes from outside; a header takes only printable ASCII. */
function safe(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '?').slice(0, 300);
}
