import { describe, expect, it } from 'vitest';
import type { Usage } from '../../../src/gateway/ledger/prices.ts';
import { expectedPrice, priceCall } from '../../../src/gateway/prices/cost.ts';
import type { Target } from '../../../src/gateway/routing/candidates.ts';
import { type Picodollars, picodollars, toUsd } from '../../../src/platform/money.ts';
import { providerOf, stated, targetOf, used } from './kit.ts';

/** The day on which the calls of these tests were made. */
const DAY = Date.parse('2026-11-27T12:00:00Z');

const openai = providerOf('OPENAI');
const anthropic = providerOf('ANTHROPIC');
const google = providerOf('GOOGLE');
const openrouter = providerOf('OPENROUTER');

function priced(target: Target, usage: Usage, more: { model?: string; reportedCost?: Picodollars; at?: number } = {}) {
  const { model = null, reportedCost = null, at = DAY } = more;
  const { cost, costSource } = priceCall(target, at, { model, usage, reportedCost });
  return { usd: cost === null ? null : toUsd(cost), costSource };
}

/** What the price list makes of it. Prices are in picodollars per token: $1 per 1M tokens is 1,000,000 of them. */
function listed(provider: typeof openai, model: string, usage: Usage, at = DAY) {
  const { usd, costSource } = priced(targetOf(provider, model), usage, { at });
  expect(costSource).toBe('PRICED');
  return usd;
}

describe('a cost by the price list', () => {
  it('has cached tokens at their own price', () => {
    // gpt-4.1: $2 in, $0.50 cached, $8 out.
    // 2,000 × 2,000,000 + 8,000 × 500,000 + 500 × 8,000,000 = 4·10⁹ + 4·10⁹ + 4·10⁹ = 12·10⁹
    expect(listed(openai, 'gpt-4.1', used(10_000, 500, { cachedTokens: 8_000 }))).toBe('0.012');
  });

  it('has tokens that are kept for five minutes and those kept for an hour at theirs', () => {
    // claude-haiku-4-5: $1 in, $0.10 read, $1.25 written for 5 minutes, $2 for an hour, $5 out.
    // 5,000 × 1,000,000 + 2,000 × 100,000 + 2,000 × 1,250,000 + 1,000 × 2,000,000 + 400 × 5,000,000
    // = 5·10⁹ + 0.2·10⁹ + 2.5·10⁹ + 2·10⁹ + 2·10⁹ = 11.7·10⁹
    const usage = used(10_000, 400, { cachedTokens: 2_000, cacheWriteTokens: 3_000, cacheWrite1hTokens: 1_000 });
    expect(listed(anthropic, 'claude-haiku-4-5-20251001', usage)).toBe('0.0117');
    // All of them for five minutes: 3,000 × 1,250,000 = 3.75·10⁹ in place of 4.5·10⁹
    expect(listed(anthropic, 'claude-haiku-4-5-20251001', { ...usage, cacheWrite1hTokens: null })).toBe('0.01095');
  });

  it('reprices the whole of a Gemini request above 200,000 tokens, and nothing at 200,000', () => {
    // gemini-2.5-pro: $1.25 in, $10 out; above 200,000 $2.50 and $15, cached $0.125 and $0.25.
    // 200,000 × 1,250,000 + 1,000 × 10,000,000 = 250·10⁹ + 10·10⁹
    expect(listed(google, 'gemini-2.5-pro', used(200_000, 1_000))).toBe('0.26');
    // 200,001 × 2,500,000 + 1,000 × 15,000,000 = 500.0025·10⁹ + 15·10⁹
    expect(listed(google, 'gemini-2.5-pro', used(200_001, 1_000))).toBe('0.5150025');
    // Cached tokens count for the length: 1 × 2,500,000 + 200,000 × 250,000 = 2.5·10⁶ + 50·10⁹
    expect(listed(google, 'gemini-2.5-pro', used(200_001, 0, { cachedTokens: 200_000 }))).toBe('0.0500025');
  });

  it('reprices every part of a Claude request above 200,000 tokens, while that was so', () => {
    // claude-sonnet-4-5 above 200,000: $6 in, $0.60 read, $7.50 and $12 written, $22.50 out.
    // 40,000 × 6,000,000 + 250,000 × 600,000 + 6,000 × 7,500,000 + 4,000 × 12,000,000 + 1,000 × 22,500,000
    // = 240·10⁹ + 150·10⁹ + 45·10⁹ + 48·10⁹ + 22.5·10⁹ = 505.5·10⁹
    const usage = used(300_000, 1_000, { cachedTokens: 250_000, cacheWriteTokens: 10_000, cacheWrite1hTokens: 4_000 });
    expect(listed(anthropic, 'claude-sonnet-4-5-20250929', usage)).toBe('0.5055');
    // claude-sonnet-4-6 had the same tier until 13 March 2026 (UTC), then $3 in and $15 out at any length.
    // 300,000 × 6,000,000 + 1,000 × 22,500,000 = 1,800·10⁹ + 22.5·10⁹; then 900·10⁹ + 15·10⁹
    const plain = used(300_000, 1_000);
    expect(listed(anthropic, 'claude-sonnet-4-6', plain, Date.parse('2026-03-12T23:59:59.999Z'))).toBe('1.8225');
    expect(listed(anthropic, 'claude-sonnet-4-6', plain, Date.parse('2026-03-13T00:00:00Z'))).toBe('0.915');
  });

  it('reprices a GPT request from 272,000 tokens on', () => {
    // gpt-5.4: $2.50 in, $15 out; from 272,000 tokens $5 and $22.50.
    // 271,999 × 2,500,000 + 100 × 15,000,000 = 679.9975·10⁹ + 1.5·10⁹
    expect(listed(openai, 'gpt-5.4', used(271_999, 100))).toBe('0.6814975');
    // 272,000 × 5,000,000 + 100 × 22,500,000 = 1,360·10⁹ + 2.25·10⁹
    expect(listed(openai, 'gpt-5.4', used(272_000, 100))).toBe('1.36225');
  });

  it('has reasoning as output, unless it has a price of its own', () => {
    // gemini-2.5-flash: $0.30 in, $2.50 out. 1,000 × 300,000 + 5,000 × 2,500,000 = 0.3·10⁹ + 12.5·10⁹
    expect(listed(google, 'gemini-2.5-flash', used(1_000, 5_000, { reasoningTokens: 4_000 }))).toBe('0.0128');
    // sonar-deep-research: $2 in, $8 out, $3 reasoning.
    // 1,000 × 2,000,000 + 1,000 × 8,000,000 + 4,000 × 3,000,000 = 2·10⁹ + 8·10⁹ + 12·10⁹
    const usage = used(1_000, 5_000, { reasoningTokens: 4_000 });
    expect(listed(openrouter, 'perplexity/sonar-deep-research', usage)).toBe('0.022');
  });

  it.each([
    // 1,000 tokens in and 1,000 out: the two prices per 1M tokens, added, are thousandths of a dollar.
    [openai, 'gpt-4o-mini', '0.00075'], // 0.15 + 0.60
    [anthropic, 'claude-opus-4-7', '0.03'], // 5 + 25
    [google, 'gemini-2.5-flash-lite', '0.0005'], // 0.10 + 0.40
    [openrouter, 'anthropic/claude-sonnet-4.6', '0.018'], // 3 + 15
    [providerOf('GROQ'), 'llama-3.3-70b-versatile', '0.00138'], // 0.59 + 0.79
    [providerOf('TOGETHER'), 'meta-llama/Llama-3.3-70B-Instruct-Turbo', '0.00176'], // 0.88 + 0.88
    [providerOf('MISTRAL'), 'codestral-latest', '0.0012'], // 0.30 + 0.90
    [providerOf('COHERE'), 'command-a-03-2025', '0.0125'], // 2.50 + 10
    [providerOf('HUGGINGFACE'), 'Qwen/Qwen2.5-72B-Instruct:novita', '0.00078'], // 0.38 + 0.40
    [providerOf('CUSTOM', 'https://api.x.ai/v1'), 'grok-4', '0.018'], // 3 + 15
  ])('knows %j %s', (provider, model, usd) => {
    expect(listed(provider, model, used(1_000, 1_000))).toBe(usd);
  });
});

describe('what decides a cost', () => {
  const usage = used(100, 10);
  const override = stated('OVERRIDE', { input: 1_000, output: 2_000 });
  const catalog = stated('CATALOG', { input: 7, output: 9 });
  // 100 × 1,000 + 10 × 2,000
  const byOverride = { usd: toUsd(120_000n), costSource: 'PRICED' };
  // 100 × 7 + 10 × 9
  const byCatalog = { usd: toUsd(790n), costSource: 'PRICED' };
  const reportedCost = picodollars(123_456_789n);

  it('is an override before what the provider reports', () => {
    const target = targetOf(openrouter, 'openai/gpt-4.1', override);
    expect(priced(target, usage, { reportedCost })).toEqual(byOverride);
    expect(priced(target, usage, { reportedCost, model: 'openai/gpt-4.1-2025-04-14' })).toEqual(byOverride);
  });

  it('is what OpenRouter reports before the list and the catalog, and names no price', () => {
    const target = targetOf(openrouter, 'openai/gpt-4.1', catalog);
    expect(priceCall(target, DAY, { model: null, usage, reportedCost })).toEqual({
      cost: reportedCost,
      costSource: 'REPORTED',
      price: null,
    });
    expect(priced(target, usage, { reportedCost: picodollars(0n) })).toEqual({ usd: '0', costSource: 'REPORTED' });
  });

  it('is nothing that a provider reports in a unit that nobody knows', () => {
    const target = targetOf(providerOf('CUSTOM'), 'm', catalog);
    expect(priced(target, usage, { reportedCost })).toEqual(byCatalog);
  });

  it('is the list before the catalog, and the catalog where the list has nothing', () => {
    // gpt-4.1: 100 × 2,000,000 + 10 × 8,000,000
    expect(priced(targetOf(openai, 'gpt-4.1', catalog), usage).usd).toBe(toUsd(280_000_000n));
    expect(priced(targetOf(openai, 'gpt-unheard-of', catalog), usage)).toEqual(byCatalog);
    expect(priced(targetOf(providerOf('SANDBOX'), 'gpt-4.1', catalog), usage)).toEqual(byCatalog);
  });

  it('has the tiers of the catalog, too', () => {
    const tiers = [
      { above: 1_000, input: 50, output: 60 },
      { above: 100, input: 10, output: 20 },
    ];
    const target = targetOf(providerOf('CUSTOM'), 'm', stated('CATALOG', { input: 1, output: 2, tiers }));
    expect(priced(target, used(100, 1)).usd).toBe(toUsd(102n));
    expect(priced(target, used(101, 1)).usd).toBe(toUsd(1_030n));
    expect(priced(target, used(1_001, 1)).usd).toBe(toUsd(50_110n));
  });

  it('is the model that answered, and the one that was asked for where nobody knows that', () => {
    // gpt-4o-mini: 100 × 150,000 + 10 × 600,000
    expect(priced(targetOf(openai, 'gpt-4.1'), usage, { model: 'gpt-4o-mini-2024-07-18' }).usd).toBe(
      toUsd(21_000_000n),
    );
    expect(priced(targetOf(openai, 'gpt-4.1'), usage, { model: 'gpt-4.1-2099-01-01' }).usd).toBe(toUsd(280_000_000n));
    const target = targetOf(providerOf('CUSTOM'), 'm', stated('CATALOG', { input: 1, output: 1 }), { real: catalog });
    expect(priced(target, usage, { model: 'real' })).toEqual(byCatalog);
    expect(priced(target, usage, { model: 'other' }).usd).toBe(toUsd(110n));
  });

  it('is unknown where nobody knows, never 0', () => {
    const unknown = { usd: null, costSource: null };
    expect(priced(targetOf(openai, 'gpt-unheard-of'), usage, { model: 'gpt-unheard-of-2' })).toEqual(unknown);
    expect(priced(targetOf(providerOf('SANDBOX'), 'gpt-4.1'), usage)).toEqual(unknown);
    expect(priced(targetOf(openai, 'gpt-4.1'), { ...usage, inputTokens: null })).toEqual(unknown);
  });

  it('is expected before the call by what was asked for', () => {
    expect(expectedPrice(targetOf(openai, 'gpt-4.1', override), DAY)?.id).toBe(override.id);
    expect(expectedPrice(targetOf(openai, 'gpt-4.1', catalog), DAY)?.components.input).toBe(2_000_000);
    expect(expectedPrice(targetOf(openai, 'gpt-unheard-of', catalog), DAY)?.id).toBe(catalog.id);
    expect(expectedPrice(targetOf(openai, 'gpt-unheard-of'), DAY)).toBeNull();
  });
});
