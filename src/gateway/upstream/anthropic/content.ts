import type { Anthropic } from '@anthropic-ai/sdk';
import { invalid } from '../../../platform/errors.ts';
import { isRecord } from '../body.ts';
import { parseDataUrl } from '../data-url.ts';
import type { Notes } from '../notes.ts';

type Block = Anthropic.TextBlockParam | Anthropic.ImageBlockParam | Anthropic.DocumentBlockParam;
type ImageType = Anthropic.Base64ImageSource['media_type'];

const IMAGE_TYPES = new Set(['image/jpeg', 'image/png', 'image/gif', 'image/webp']);

/**
 * The content of a message as blocks. Texts of nothing but white space are left out: Anthropic refuses them.
 * @param path where the content stands in the body, for errors
 * @throws ValidationError for what no block can hold
 */
export function toBlocks(content: unknown, path: string, notes: Notes): Block[] {
  if (content == null) return [];
  if (typeof content === 'string') return content.trim() === '' ? [] : [{ type: 'text', text: content }];
  if (!Array.isArray(content)) throw invalid(path, 'must be a text or a list of parts');
  return content.flatMap((part, at) => toBlock(part, `${path}.${at}`, notes));
}

/** The text of a content, where only text can stand. */
export function toText(content: unknown, path: string, notes: Notes): Anthropic.TextBlockParam[] {
  return toBlocks(content, path, notes).filter((block) => {
    if (block.type !== 'text') notes.leftOut(path, 'Anthropic takes only text there');
    return block.type === 'text';
  }) as Anthropic.TextBlockParam[];
}

function toBlock(part: unknown, path: string, notes: Notes): Block[] {
  if (typeof part === 'string') return part.trim() === '' ? [] : [{ type: 'text', text: part }];
  if (!isRecord(part)) throw invalid(path, 'must be an object with a type');
  const cache = cacheOf(part);
  switch (part.type) {
    case 'text':
    case 'input_text':
    case 'output_text':
    case 'refusal': {
      const text = part.type === 'refusal' ? part.refusal : part.text;
      if (typeof text !== 'string') throw invalid(path, 'must have a text');
      return text.trim() === '' ? [] : [{ type: 'text', text, ...cache }];
    }
    case 'image_url': {
      const url = isRecord(part.image_url) ? part.image_url.url : part.image_url;
      if (typeof url !== 'string') throw invalid(path, 'must have an image_url with a url');
      return [{ type: 'image', source: toImageSource(url, path), ...cache }];
    }
    case 'file':
      return [{ ...toDocument(part.file, path), ...cache }];
    case 'image':
    case 'document':
      // Anthropic's own blocks, from clients that know where the request goes.
      return [part as unknown as Block];
    default:
      notes.leftOut(path, 'Anthropic does not take content of this type');
      return [];
  }
}

function toImageSource(url: string, path: string): Anthropic.ImageBlockParam['source'] {
  const data = parseDataUrl(url);
  if (data) {
    const mediaType = data.mediaType === 'image/jpg' ? 'image/jpeg' : data.mediaType;
    if (!IMAGE_TYPES.has(mediaType))
      throw invalid(path, 'must be a JPEG, PNG, GIF or WebP image, as base64, for Anthropic');
    return { type: 'base64', media_type: mediaType as ImageType, data: data.data };
  }
  if (!/^https?:\/\//i.test(url)) throw invalid(path, 'must be an http address or a data URL');
  return { type: 'url', url };
}

function toDocument(file: unknown, path: string): Anthropic.DocumentBlockParam {
  const { file_data: fileData, filename } = isRecord(file) ? file : {};
  const data = typeof fileData === 'string' ? parseDataUrl(fileData) : null;
  if (data?.mediaType !== 'application/pdf')
    throw invalid(path, 'must hold a PDF as a data URL in file_data, for Anthropic');
  const source = { type: 'base64' as const, media_type: 'application/pdf' as const, data: data.data };
  return { type: 'document', source, ...(typeof filename === 'string' && filename ? { title: filename } : {}) };
}

/** A mark for Anthropic's prompt cache, which clients put beside what is to be cached. */
export function cacheOf(part: Record<string, unknown>): { cache_control?: Anthropic.CacheControlEphemeral } {
  const { cache_control: control } = part;
  if (!isRecord(control) || control.type !== 'ephemeral') return {};
  const { ttl } = control;
  return { cache_control: { type: 'ephemeral', ...(ttl === '5m' || ttl === '1h' ? { ttl } : {}) } };
}
