import { calcPrice, findProvider, type ModelPrice } from '@pydantic/genai-prices';
import { type PriceVersion, priceVersion } from '../ledger/prices.ts';
import type { ProviderEntry } from '../snapshot/snapshot.ts';
import { PROVIDER_KINDS } from '../upstream/kinds.ts';
import { isCertain } from './certain-match.ts';
import { componentsOf } from './list-components.ts';

/** What a model costs at a time, in milliseconds since 1970. */
type Listed = (at: number) => PriceVersion | null;

/** Longer ones are nobody's; providers put what they like into their answers. */
const LONGEST_NAME = 200;
/** So many models are looked up once only. */
const REMEMBERED = 10_000;

/** By provider and model, in the order in which they were looked up. */
const remembered = new Map<string, Listed>();

/**
 * The price of a model by `@pydantic/genai-prices`, as installed: nothing is fetched.
 * @param model the name, as the provider knows it
 * @param at milliseconds since 1970: prices have dates and times of day
 * @returns null when the list does not have the model for certain, or not in rates per token
 */
export function listPrice(
  provider: Pick<ProviderEntry, 'kind' | 'baseUrl'>,
  model: string,
  at: number,
): PriceVersion | null {
  if (model.length > LONGEST_NAME) return null;
  const key = `${provider.kind} ${provider.baseUrl} ${model}`;
  const known = remembered.get(key);
  if (known) return known(at);
  const listed = find(provider, model);
  remembered.set(key, listed);
  if (remembered.size > REMEMBERED) remembered.delete(remembered.keys().next().value ?? key);
  return listed(at);
}

function find(provider: Pick<ProviderEntry, 'kind' | 'baseUrl'>, model: string): Listed {
  const { list, name } = placeOf(provider, model.toLowerCase());
  // The time decides between prices of one entry, not between entries.
  const found = list === null ? null : calcPrice({}, name, { providerId: list, timestamp: new Date(0) });
  if (!found || !isCertain(name, found.model)) return () => null;
  if (!Array.isArray(found.model.prices)) {
    const version = toVersion(found.model_price);
    return () => version;
  }
  // Which of several prices holds is decided anew each time, among this model's alone.
  const alone = { ...found.provider, models: [found.model] };
  const versions = new Map(found.model.prices.map(({ prices }) => [prices, toVersion(prices)]));
  return (at) => {
    const now = calcPrice({}, name, { provider: alone, timestamp: new Date(at) });
    return (now && versions.get(now.model_price)) ?? null;
  };
}

/** Which of the lists a model is on, and under which name. An address that the lists know goes before the kind. */
function placeOf(
  { kind, baseUrl }: Pick<ProviderEntry, 'kind' | 'baseUrl'>,
  model: string,
): { list: string | null; name: string } {
  const list = listAt(baseUrl) ?? PROVIDER_KINDS[kind].priceList;
  if (!list?.endsWith('*')) return { list, name: model };
  const colon = model.lastIndexOf(':');
  const wanted = list.replace('*', model.slice(colon + 1));
  const isListed = colon > 0 && findProvider({ providerId: wanted })?.id === wanted;
  return { list: isListed ? wanted : null, name: model.slice(0, colon) };
}

/** The list of whoever answers at an address. */
function listAt(baseUrl: string): string | null {
  const provider = URL.canParse(baseUrl) ? findProvider({ providerApiUrl: baseUrl }) : undefined;
  if (!provider) return null;
  // The patterns are tied to the beginning alone: https://api.openai.com.example is somebody else.
  const matched = new RegExp(`^(?:${provider.api_pattern})`).exec(baseUrl)?.[0] ?? '';
  return matched.length >= new URL(baseUrl).origin.length ? provider.id : null;
}

function toVersion(price: ModelPrice): PriceVersion | null {
  const components = componentsOf(price);
  return components && priceVersion(components);
}
