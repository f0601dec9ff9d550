import { ValidationError, type ValidationIssue } from '../../platform/errors.ts';
import { LONGEST_MODEL_NAME, parseJsonObject } from './body.ts';

/** The members of an embeddings body that Signalbox looks at; the rest is the provider's business. */
export interface EmbeddingsBody {
  model: string;
  /** Texts, or texts as the tokens that the model makes of them. */
  input: string | readonly string[] | readonly number[] | readonly (readonly number[])[];
  encoding_format?: 'float' | 'base64' | null;
  dimensions?: number | null;
  [member: string]: unknown;
}

/** A request body: its bytes as received, and what they say. */
export interface ParsedEmbeddings {
  bytes: Buffer;
  embeddings: EmbeddingsBody;
}

/** As many as OpenAI takes in one request. */
const MOST_INPUTS = 2_048;
const MOST_DIMENSIONS = 65_536;

/**
 * Reads an embeddings body.
 * @throws ValidationError when it is not JSON in UTF-8, or a member that Signalbox needs has the wrong type
 */
export function parseEmbeddings(bytes: Buffer): ParsedEmbeddings {
  const value = parseJsonObject(bytes);
  const issues = check(value);
  if (issues.length > 0) throw new ValidationError(issues);
  return { bytes, embeddings: value as unknown as EmbeddingsBody };
}

/** The inputs one by one: each a text, or its tokens. */
export function inputsOf({ input }: EmbeddingsBody): readonly (string | readonly number[])[] {
  if (typeof input === 'string') return [input];
  return typeof input[0] === 'number' ? [input as readonly number[]] : (input as readonly (string | number[])[]);
}

function check(body: Record<string, unknown>): ValidationIssue[] {
  const issues: ValidationIssue[] = [];
  const wrong = (path: string, message: string) => issues.push({ path, message });
  const { model, input, encoding_format: format, dimensions } = body;
  if (typeof model !== 'string' || model === '') wrong('model', 'must name a model or a route');
  else if (model.length > LONGEST_MODEL_NAME) wrong('model', `must be at most ${LONGEST_MODEL_NAME} characters`);
  if (!isInput(input)) wrong('input', 'must be a text, a list of texts, or tokens as a list or a list of lists');
  else if (Array.isArray(input) && typeof input[0] !== 'number' && input.length > MOST_INPUTS)
    wrong('input', `must be at most ${MOST_INPUTS} inputs`);
  if (format != null && format !== 'float' && format !== 'base64') wrong('encoding_format', 'must be float or base64');
  const isDimensions = Number.isInteger(dimensions) && (dimensions as number) >= 1;
  if (dimensions != null && !(isDimensions && (dimensions as number) <= MOST_DIMENSIONS))
    wrong('dimensions', `must be a whole number from 1 to ${MOST_DIMENSIONS}`);
  return issues;
}

function isInput(input: unknown): boolean {
  if (typeof input === 'string') return input !== '';
  if (!Array.isArray(input) || input.length === 0) return false;
  const isText = (one: unknown) => typeof one === 'string' && one !== '';
  const isTokens = (one: unknown) => Array.isArray(one) && one.length > 0 && one.every(isToken);
  return input.every(isText) || input.every(isToken) || input.every(isTokens);
}

function isToken(value: unknown): boolean {
  return Number.isInteger(value) && (value as number) >= 0;
}

/** How many tokens the inputs have that are given as tokens already, and the texts of the others. */
export function promptOfEmbeddings(body: EmbeddingsBody): { text: string; tokens: number } {
  const inputs = inputsOf(body);
  const texts = inputs.filter((input) => typeof input === 'string');
  const tokens = inputs.reduce<number>((sum, input) => sum + (typeof input === 'string' ? 0 : input.length), 0);
  return { text: texts.join(' '), tokens };
}
