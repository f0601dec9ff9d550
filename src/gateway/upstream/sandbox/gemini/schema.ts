import { invalid, shorten } from '../../../../platform/errors.ts';
import { isRecord } from '../../body.ts';
import type { JsonSchema } from '../ask.ts';

/** The members of Google's Schema, a part of OpenAPI's: https://ai.google.dev/api/caching#Schema */
const KNOWN = new Set(
  (
    'type format title description nullable enum items maxItems minItems properties required minProperties ' +
    'maxProperties minLength maxLength pattern example anyOf propertyOrdering default minimum maximum'
  ).split(' '),
);
/** They are 64-bit numbers, which JSON has as strings in Google's APIs. */
const LONG = new Set(['maxItems', 'minItems', 'maxProperties', 'minProperties', 'minLength', 'maxLength']);

/**
 * One of Google's schemas as a JSON schema: types in small letters, numbers as numbers, `nullable` as a type.
 * @param param where it stands in the request.
 * @throws ValidationError for a member that Google's schemas do not have, as many that JSON schemas do.
 */
export function toJsonSchema(schema: JsonSchema, param: string): JsonSchema {
  const plain: JsonSchema = {};
  for (const [name, value] of Object.entries(schema)) {
    if (!KNOWN.has(name)) throw invalid(param, `Unknown name "${shorten(name)}": Cannot find field.`);
    plain[name] = memberOf(name, value, `${param}.${name}`);
  }
  return schema.nullable === true && typeof plain.type === 'string' ? { ...plain, type: [plain.type, 'null'] } : plain;
}

function memberOf(name: string, value: unknown, param: string): unknown {
  if (LONG.has(name)) return Number(value);
  switch (name) {
    case 'type':
      return typeof value === 'string' ? value.toLowerCase() : value;
    case 'items':
      return isRecord(value) ? toJsonSchema(value, param) : value;
    case 'anyOf':
      return Array.isArray(value) ? value.map((one) => (isRecord(one) ? toJsonSchema(one, param) : one)) : value;
    case 'properties': {
      if (!isRecord(value)) return value;
      const members = Object.entries(value);
      return Object.fromEntries(
        members.map(([key, one]) => [key, isRecord(one) ? toJsonSchema(one, `${param}.${key}`) : one]),
      );
    }
    default:
      return value;
  }
}
