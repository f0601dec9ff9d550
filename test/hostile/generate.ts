import {
  type GraphQLArgument,
  type GraphQLField,
  type GraphQLInputType,
  type GraphQLOutputType,
  type GraphQLSchema,
  getNamedType,
  isAbstractType,
  isEnumType,
  isInputObjectType,
  isLeafType,
  isListType,
  isNonNullType,
  isObjectType,
} from 'graphql';

/** Repeatable randomness (mulberry32). */
export class Dice {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** From 0 up to, and without, 1. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }

  chance(share: number): boolean {
    return this.next() < share;
  }

  below(limit: number): number {
    return Math.floor(this.next() * limit);
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)] as T;
  }
}

export interface GeneratedOperation {
  kind: 'query' | 'mutation' | 'subscription';
  query: string;
  variables: Record<string, unknown>;
}

/** What stands where names are expected: some that are there, and many that are not. */
const TEXTS = [
  ...['sandbox', 'openai', 'default', 'sandbox/sandbox-small', 'nobody', 'fuzz', 'user@example.com', '', ' '],
  ...['\u0000', 'a\u0000b', '\ud800', '\u202e\ufeff', '😀', "'; DROP TABLE users; --", '%_\\', '../..', '{{7*7}}'],
  ...['00000000-0000-7000-8000-000000000000', 'ffffffff-ffff-ffff-ffff-ffffffffffff', 'aWQ6', '====', 'null', 'NaN'],
  ...[
    'http://127.0.0.1:1/v1',
    'ftp://x',
    'x'.repeat(5_000),
    '-1',
    '1e999',
    '12.5',
    '2026-11-20T00:00:00Z',
    '__proto__',
  ],
];
const NUMBERS = [0, 1, -1, 2, 50, 100, 101, 1.5, 2 ** 31 - 1, 2 ** 31, -(2 ** 31), 2 ** 53, 1e300];
const ODD = [null, true, [], {}, [null], [[1]], { a: { b: 1 } }, ...NUMBERS];

/** Writes random operations for a schema: mostly valid, sometimes subtly wrong, now and then broken. */
export class OperationGenerator {
  readonly #dice: Dice;
  readonly #schema: GraphQLSchema;
  #variables: Record<string, unknown> = {};
  #declarations: string[] = [];
  #fragments: string[] = [];
  #aliases = 0;

  constructor(schema: GraphQLSchema, dice: Dice) {
    this.#schema = schema;
    this.#dice = dice;
  }

  next(): GeneratedOperation {
    this.#variables = {};
    this.#declarations = [];
    this.#fragments = [];
    this.#aliases = 0;
    const kind = this.#dice.pick(['query', 'query', 'mutation', 'subscription'] as const);
    const root = {
      query: this.#schema.getQueryType(),
      mutation: this.#schema.getMutationType(),
      subscription: this.#schema.getSubscriptionType(),
    }[kind];
    const fields = Object.values(root?.getFields() ?? {});
    const count = kind === 'subscription' && this.#dice.chance(0.95) ? 1 : 1 + this.#dice.below(3);
    const selection = Array.from({ length: count }, () => this.#field(this.#dice.pick(fields), 0)).join(' ');
    const name = this.#dice.chance(0.5) ? ' Fuzz' : '';
    const declared = this.#declarations.length > 0 ? `(${this.#declarations.join(', ')})` : '';
    const text = `${kind}${name}${declared} { ${selection} } ${this.#fragments.join(' ')}`;
    return { kind, query: this.#dice.chance(0.1) ? this.damage(text) : text, variables: this.#variables };
  }

  /** The text with some of it missing, doubled or replaced. */
  damage(text: string): string {
    const at = this.#dice.below(text.length);
    const length = this.#dice.below(8);
    const piece = text.slice(at, at + length);
    const replacement = this.#dice.pick(['', piece + piece, '{', '}', '"', '$', '\u0000', '...', '@skip', '\ud800']);
    return text.slice(0, at) + replacement + text.slice(at + length);
  }

  #field(field: GraphQLField<unknown, unknown>, depth: number): string {
    const alias = this.#dice.chance(field.args.length > 0 ? 0.9 : 0.1) ? `${this.#alias()}: ` : '';
    const name = this.#dice.chance(0.002) ? 'nothing' : field.name;
    const directive = this.#dice.chance(0.03)
      ? ` @${this.#dice.pick(['skip', 'include'])}(if: ${this.#dice.chance(0.5)})`
      : '';
    return `${alias}${name}${this.#arguments(field.args)}${directive}${this.#selection(field.type, depth)}`;
  }

  /** Mostly one that is not there yet. */
  #alias(): string {
    this.#aliases += 1;
    return this.#dice.chance(0.9) ? `a${this.#aliases}` : 'a';
  }

  #arguments(args: readonly GraphQLArgument[]): string {
    const given = args.flatMap((argument) => {
      if (!this.#dice.chance(isNonNullType(argument.type) ? 0.99 : 0.4)) return [];
      const value = this.#value(argument.type, 0);
      if (this.#dice.chance(0.4)) return [`${argument.name}: ${literal(value)}`];
      const variable = `v${this.#declarations.length}`;
      this.#declarations.push(`$${variable}: ${argument.type}`);
      this.#variables[variable] = value;
      return [`${argument.name}: $${variable}`];
    });
    return given.length > 0 ? `(${given.join(', ')})` : '';
  }

  #selection(type: GraphQLOutputType, depth: number): string {
    const named = getNamedType(type);
    if (isLeafType(named)) return this.#dice.chance(0.002) ? ' { id }' : '';
    if (depth > 7) return ' { __typename }';
    const parts = ['__typename'];
    if (isAbstractType(named)) {
      for (const member of this.#schema.getPossibleTypes(named)) {
        if (this.#dice.chance(0.6)) parts.push(this.#spread(member.name, this.#selection(member, depth + 1)));
      }
    } else if (isObjectType(named)) {
      const fields = Object.values(named.getFields());
      for (let left = 1 + this.#dice.below(5); left > 0; left--)
        parts.push(this.#field(this.#dice.pick(fields), depth + 1));
    }
    return ` { ${parts.join(' ')} }`;
  }

  #spread(type: string, selection: string): string {
    if (!this.#dice.chance(0.1)) return `... on ${type}${selection}`;
    const name = `F${this.#fragments.length}`;
    this.#fragments.push(`fragment ${name} on ${type}${selection}`);
    return `...${name}`;
  }

  #value(type: GraphQLInputType, depth: number): unknown {
    if (this.#dice.chance(0.01)) return this.#dice.pick([...ODD, ...TEXTS]);
    if (isNonNullType(type)) return this.#value(type.ofType, depth);
    if (this.#dice.chance(0.02)) return null;
    if (isListType(type)) {
      return Array.from({ length: this.#dice.below(4) }, () => this.#value(type.ofType, depth + 1));
    }
    if (isEnumType(type)) return this.#dice.pick(type.getValues()).name;
    if (isInputObjectType(type)) {
      const fields = Object.values(type.getFields()).filter((field) =>
        this.#dice.chance(isNonNullType(field.type) ? 0.98 : depth > 3 ? 0.1 : 0.4),
      );
      const chosen = type.isOneOf ? [this.#dice.pick(Object.values(type.getFields()))] : fields;
      return Object.fromEntries(chosen.map((field) => [field.name, this.#value(field.type, depth + 1)]));
    }
    if (type.name === 'Int' || type.name === 'Float')
      return this.#dice.chance(0.7) ? 1 + this.#dice.below(100) : this.#dice.pick(NUMBERS);
    if (type.name === 'Boolean') return this.#dice.chance(0.5);
    if (type.name === 'JSON') return this.#dice.pick([...ODD, ...TEXTS]);
    if (type.name === 'USD') return this.#dice.pick(['1', '0', '-1', '0.000001', '999999999999999999', '1e5', 'x']);
    if (type.name === 'BigInt') return this.#dice.pick(['0', '1', '-1', '9223372036854775807', '9'.repeat(38), 'x']);
    if (type.name === 'DateTime')
      return this.#dice.pick(['2026-11-20T00:00:00Z', '0000-01-01T00:00:00Z', '9999-12-31T23:59:59Z', 'now']);
    return this.#dice.pick(TEXTS);
  }
}

/** The value as it stands in a document. Enum values look like names. */
function literal(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(literal).join(', ')}]`;
  if (typeof value === 'object' && value !== null) {
    return `{ ${Object.entries(value)
      .map(([name, part]) => `${name}: ${literal(part)}`)
      .join(', ')} }`;
  }
  if (typeof value === 'string' && /^[A-Z][A-Z0-9_]+$/.test(value)) return value;
  return JSON.stringify(value);
}
