import { calcPrice, findProvider, type ModelInfo } from '@pydantic/genai-prices';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { costOf } from '../../../src/gateway/ledger/prices.ts';
import { listPrice } from '../../../src/gateway/prices/price-list.ts';
import { PROVIDER_KINDS, type ProviderKind } from '../../../src/gateway/upstream/kinds.ts';
import { providerOf, used } from './kit.ts';

const DAY = Date.parse('2026-11-27T12:00:00Z');
const anthropic = providerOf('ANTHROPIC');
const openai = providerOf('OPENAI');

/** The models of each kind that has one list, under the names that the list has for them. */
const LISTED = (Object.keys(PROVIDER_KINDS) as ProviderKind[]).flatMap((kind) => {
  const list = PROVIDER_KINDS[kind].priceList ?? '*';
  const models = list.endsWith('*') ? [] : (findProvider({ providerId: list })?.models ?? []);
  return models.map((model) => ({ kind, list, model }));
});

const inputOf = (name: string, at = DAY, provider = anthropic) => listPrice(provider, name, at)?.components.input;

describe('a name on the price list', () => {
  it('counts word for word, in any case, and with a version behind it', () => {
    const names = ['claude-sonnet-4', 'claude-sonnet-4-20250514', 'claude-sonnet-4@20250514', 'Claude-Sonnet-4'];
    for (const name of names) expect(inputOf(name)).toBe(3_000_000);
    expect(inputOf('gemini-2.0-flash-001', DAY, providerOf('GOOGLE'))).toBe(100_000);
    expect(inputOf('magistral-medium-2509', DAY, providerOf('MISTRAL'))).toBe(2_000_000);
    expect(inputOf('gpt-5.6-sol-2026-08-22', DAY, openai)).toBe(4_000_000);
  });

  it('does not count because it begins like another model, which the list would take it for', () => {
    const at = { providerId: 'anthropic', timestamp: new Date(DAY) };
    expect(calcPrice({}, 'claude-sonnet-5-5', at)?.model.id).toBe('claude-sonnet-5');
    for (const name of ['claude-sonnet-5-5', 'claude-opus-4-10', 'claude-sonnet-5-latest', 'claude-haiku-4-5-preview'])
      expect(inputOf(name)).toBeUndefined();
    fc.assert(
      fc.property(fc.constantFrom(...LISTED), fc.stringMatching(/^[-.:]?[a-z][a-z0-9]{3,9}$/), (one, more) => {
        const name = `${one.model.id}${more}`;
        fc.pre(!JSON.stringify(findProvider({ providerId: one.list })).includes(name));
        expect(listPrice(providerOf(one.kind), name, DAY)).toBeNull();
      }),
    );
  });

  it('does not count where a price has more to it than rates per token', () => {
    // A fee for each request, images and citations in the answer.
    expect(inputOf('sonar', DAY, providerOf('CUSTOM', 'https://api.perplexity.ai'))).toBeUndefined();
    expect(inputOf('sonar-deep-research', DAY, providerOf('CUSTOM', 'https://api.perplexity.ai'))).toBeUndefined();
    expect(inputOf('gemini-2.5-flash-image', DAY, providerOf('GOOGLE'))).toBeUndefined();
    expect(inputOf('whisper-1', DAY, openai)).toBeUndefined();
  });

  it('is nothing that a provider can make up', () => {
    for (const name of ['', ' ', '\0', ':', 'a:', '%', '__proto__', 'constructor', `gpt-4.1${'-0'.repeat(1e6)}`])
      for (const kind of Object.keys(PROVIDER_KINDS) as ProviderKind[])
        expect(listPrice(providerOf(kind), name, DAY)).toBeNull();
  });
});

describe('the list of a provider', () => {
  it('goes by its address, then by its kind', () => {
    // gpt-oss-120b is $0.35 at Cerebras and $0.15 at Groq.
    const cerebras = inputOf('gpt-oss-120b', DAY, providerOf('GROQ', 'https://api.cerebras.ai/v1'));
    expect([cerebras, inputOf('openai/gpt-oss-120b', DAY, providerOf('GROQ'))]).toEqual([350_000, 150_000]);
    // A proxy of one's own in front of a provider has that provider's prices.
    expect(inputOf('claude-haiku-4-5', DAY, providerOf('ANTHROPIC', 'http://proxy.internal/v1'))).toBe(1_000_000);
    expect(inputOf('gpt-4.1', DAY, providerOf('CUSTOM', 'http://proxy.internal/v1'))).toBeUndefined();
  });

  it.each([
    'https://api.openai.com.example/v1',
    'https://api.openai.com:8443/v1',
    'https://api.openai.community/v1',
    'http://api.openai.com/v1',
    'https://openai.example/?https://api.openai.com',
    'not an address',
  ])('is not OpenAI’s at %s', (url) => expect(inputOf('gpt-4.1', DAY, providerOf('CUSTOM', url))).toBeUndefined());

  it('goes by the end of the name at Hugging Face, where it says who answers', () => {
    const provider = providerOf('HUGGINGFACE');
    expect(inputOf('Qwen/Qwen2.5-72B-Instruct:novita', DAY, provider)).toBe(380_000);
    for (const name of ['', ':fastest', ':cheapest', ':nobody', ':', ':novita:'])
      expect(inputOf(`Qwen/Qwen2.5-72B-Instruct${name}`, DAY, provider)).toBeUndefined();
  });
});

describe('the time of a call', () => {
  it('decides between prices with dates, to the millisecond', () => {
    // o3 went from $10 to $2 on 10 June 2025.
    expect(inputOf('o3', Date.parse('2025-06-09T23:59:59.999Z'), openai)).toBe(10_000_000);
    expect(inputOf('o3', Date.parse('2025-06-10T00:00:00.000Z'), openai)).toBe(2_000_000);
    expect(inputOf('o3', Date.parse('2025-06-09T23:59:59.999Z'), openai)).toBe(10_000_000);
  });

  it('decides between prices with hours', () => {
    const deepseek = providerOf('CUSTOM', 'https://api.deepseek.com');
    // $0.27 by day and $0.135 from 16:30 to 00:30 UTC: the list holds the day's by its hours.
    const prices = ['00:29:59.999', '00:30:00', '16:29:59.999', '16:30:00'].map((time) =>
      inputOf('deepseek-chat', Date.parse(`2026-11-27T${time}Z`), deepseek),
    );
    expect(prices).toEqual([135_000, 270_000, 270_000, 135_000]);
  });

  it('gives one model the same version all day, and another one after a change', () => {
    const version = (day: string) => listPrice(providerOf('GOOGLE'), 'gemini-3.6-flash', Date.parse(day));
    expect(version('2026-12-31T00:00:00Z')).toBe(version('2026-12-31T23:59:59Z'));
    expect(version('2026-12-31T23:59:59Z')?.id).not.toBe(version('2027-01-01T00:00:00Z')?.id);
  });

  it('decides as the list itself does, for every model whose price has changed', () => {
    const changing = LISTED.filter(({ model }) => Array.isArray(model.prices));
    expect(changing.length).toBeGreaterThan(10);
    const time = fc.date({ min: new Date('2024-01-01'), max: new Date('2028-01-01'), noInvalidDate: true });
    fc.assert(
      fc.property(fc.constantFrom(...changing), time, ({ kind, list, model }, timestamp) => {
        const found = calcPrice({}, model.id, { providerId: list, timestamp });
        const price = listPrice(providerOf(kind), model.id, timestamp.getTime());
        fc.pre(price !== null && found?.model.id === model.id);
        const input = found?.model_price.input_mtok;
        expect(price?.components.input).toBe(Math.round((typeof input === 'object' ? input.base : (input ?? 0)) * 1e6));
      }),
      { numRuns: 500 },
    );
  });
});

it('costs what the list says, for every model and whatever was used', () => {
  const tokens = fc.nat(400_000);
  const share = fc.double({ min: 0, max: 1, noNaN: true });
  let compared = 0;
  fc.assert(
    fc.property(fc.constantFrom(...LISTED), tokens, tokens, share, share, share, (one, input, output, a, b, c) => {
      const cached = Math.floor(input * a);
      const written = Math.floor((input - cached) * b);
      const [written1h, reasoning] = [Math.floor(written * c), Math.floor(output * c)];
      const price = listPrice(providerOf(one.kind), one.model.id, DAY);
      fc.pre(price !== null && isNamed(one.model, one.list));
      const cost = costOf(
        used(input, output, {
          ...{ cachedTokens: cached, cacheWriteTokens: written, cacheWrite1hTokens: written1h },
          reasoningTokens: reasoning,
        }),
        price,
      );
      const usage = {
        ...{ input_tokens: input, cache_read_tokens: cached, cache_write_tokens: written },
        ...{ cache_write_1h_tokens: written1h, output_tokens: output, output_reasoning_tokens: reasoning },
      };
      const expected = calcPrice(usage, one.model.id, { providerId: one.list, timestamp: new Date(DAY) });
      // The list counts in floating point, and six of its prices are not whole picodollars per token.
      expect(Number(cost) / 1e12).toBeCloseTo(expected?.total_price ?? Number.NaN, 6);
      compared += 1;
    }),
    { numRuns: 2_000 },
  );
  expect(compared).toBeGreaterThan(1_500);
});

/** Some ids are not names of their own model. */
function isNamed(model: ModelInfo, list: string): boolean {
  return calcPrice({}, model.id, { providerId: list, timestamp: new Date(DAY) })?.model.id === model.id;
}
