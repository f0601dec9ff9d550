import { invalid } from '../../../platform/errors.ts';
import type { JsonSchema } from './ask.ts';
import { pick } from './digest.ts';
import { fillNumber, fillString } from './scalars.ts';

const MOST_VALUES = 2_000;
const MOST_CHARACTERS = 1_000_000;
const DEEPEST = 32;
/** Below this depth only what is required is filled, so that recursive schemas end. */
const GENEROUS_DEPTH = 4;

/**
 * A value that satisfies a JSON schema in a plain way, the same one each time for the same `random`.
 * Knows type, enum, const, properties, required, items, prefixItems, anyOf, oneOf, allOf, local $ref, and the bounds
 * and formats of numbers and strings; `pattern`, `not`, `if` and `contains` are not looked at.
 * @param param where the schema stands in the request, for errors.
 * @throws ValidationError for a schema that needs more than 2,000 values, 1,000,000 characters or 32
 * levels, or has a broken `$ref`.
 */
export function fillSchema(schema: JsonSchema, random: () => number, param: string): unknown {
  let values = 0;
  let characters = 0;

  function refuse(message: string): never {
    throw invalid(param, message);
  }

  function fill(node: unknown, name: string, depth: number): unknown {
    const plain = resolve(node, depth);
    const options = 'const' in plain ? [plain.const] : listOf(plain.enum);
    if (isFilled(options)) return weighed(pick(options, random));
    switch (typeOf(plain, depth)) {
      case 'object':
        return fillObject(plain, depth);
      case 'array':
        return fillArray(plain, name, depth);
      case 'integer':
      case 'number':
        return fillNumber(plain);
      case 'boolean':
        return random() < 0.5;
      case 'null':
        return null;
      default:
        return weighed(fillString(plain, name) ?? refuse('the schema asks for too much text'));
    }
  }

  /** The value itself, counted: a small schema can ask for the same large text many times. */
  function weighed<Value>(value: Value): Value {
    characters += JSON.stringify(value)?.length ?? 0;
    return characters > MOST_CHARACTERS ? refuse('the schema asks for too much text') : value;
  }

  function fillObject(node: JsonSchema, depth: number): Record<string, unknown> {
    const properties = isObject(node.properties) ? node.properties : {};
    const required = Array.isArray(node.required) ? node.required.filter((name) => typeof name === 'string') : null;
    const names = required ?? (depth < GENEROUS_DEPTH ? Object.keys(properties) : []);
    const extra = isObject(node.additionalProperties) ? node.additionalProperties : {};
    return Object.fromEntries(
      names.map((name) => [
        weighed(name),
        fill(Object.hasOwn(properties, name) ? properties[name] : extra, name, depth + 1),
      ]),
    );
  }

  function fillArray(node: JsonSchema, name: string, depth: number): unknown[] {
    const first = listOf(node.prefixItems);
    const least = typeof node.minItems === 'number' ? node.minItems : 0;
    const most = typeof node.maxItems === 'number' ? node.maxItems : Number.POSITIVE_INFINITY;
    const length = Math.max(least, Math.min(most, first.length || (depth < GENEROUS_DEPTH ? 1 : 0)));
    if (length > MOST_VALUES) refuse(`the schema asks for more than ${MOST_VALUES} values`);
    const filled: unknown[] = [];
    while (filled.length < length) {
      const item = fill(filled.length < first.length ? first[filled.length] : (node.items ?? {}), name, depth + 1);
      if (node.uniqueItems !== true || !filled.includes(item)) filled.push(item);
      else if (typeof item === 'number') filled.push(Math.max(...filled.filter((one) => typeof one === 'number')) + 1);
      else if (typeof item === 'string' && !hasChoices(node.items)) filled.push(`${item} ${filled.length + 1}`);
    }
    return filled;
  }

  /** The schema with its `$ref`, `allOf` and a choice among its alternatives folded into one level. */
  function resolve(node: unknown, depth: number): JsonSchema {
    if (++values > MOST_VALUES) refuse(`the schema asks for more than ${MOST_VALUES} values`);
    if (depth > DEEPEST) refuse(`the schema needs more than ${DEEPEST} levels`);
    if (!isObject(node)) return {};
    const { $ref, allOf, anyOf, oneOf, ...own } = node;
    const alternatives = [...listOf(anyOf), ...listOf(oneOf)];
    const folded = [
      ...(typeof $ref === 'string' ? [lookUp($ref)] : []),
      ...listOf(allOf),
      ...(isFilled(alternatives) ? [choose(alternatives, depth)] : []),
    ];
    return folded.reduce<JsonSchema>((whole, next) => merge(whole, resolve(next, depth + 1)), own);
  }

  function lookUp(pointer: string): unknown {
    if (!pointer.startsWith('#')) refuse('only local $ref are followed');
    let target: unknown = schema;
    for (const step of pointer.split('/').slice(1)) {
      const key = step.replaceAll('~1', '/').replaceAll('~0', '~');
      target = typeof target === 'object' && target !== null ? Reflect.get(target, key) : undefined;
    }
    return target === undefined ? refuse('a $ref points nowhere') : target;
  }

  return fill(schema, 'value', 0);
}

/** The first alternative; deep inside, one that ends the recursion if there is one. */
function choose(alternatives: Filled, depth: number): unknown {
  const end = depth >= GENEROUS_DEPTH && alternatives.find((one) => isObject(one) && one.type === 'null');
  return end || alternatives[0];
}

function merge(a: JsonSchema, b: JsonSchema): JsonSchema {
  const merged = { ...a, ...b };
  if (isObject(a.properties) && isObject(b.properties)) merged.properties = { ...a.properties, ...b.properties };
  if (Array.isArray(a.required) && Array.isArray(b.required)) merged.required = [...a.required, ...b.required];
  return merged;
}

function typeOf(node: JsonSchema, depth: number): unknown {
  if (Array.isArray(node.type)) return depth >= GENEROUS_DEPTH && node.type.includes('null') ? 'null' : node.type[0];
  if (node.type !== undefined) return node.type;
  if (isObject(node.properties) || node.required) return 'object';
  if (node.items || node.prefixItems) return 'array';
  if (node.minimum !== undefined || node.maximum !== undefined) return 'number';
  return 'string';
}

function hasChoices(items: unknown): boolean {
  return isObject(items) && items.enum !== undefined;
}

type Filled = readonly [unknown, ...unknown[]];

function isFilled(list: readonly unknown[]): list is Filled {
  return list.length > 0;
}

function listOf(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}

function isObject(value: unknown): value is JsonSchema {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
