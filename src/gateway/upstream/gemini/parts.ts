import type { Part } from '@google/genai';
import { invalid, shorten } from '../../../platform/errors.ts';
import { isRecord, type ParsedBody } from '../body.ts';
import { parseDataUrl } from '../data-url.ts';
import type { InlineImage } from '../dialect.ts';
import type { Notes } from '../notes.ts';

const AUDIO_TYPES: Readonly<Record<string, string>> = { wav: 'audio/wav', mp3: 'audio/mp3' };

/** The http addresses of a request's images: Gemini takes images only as their bytes. */
export function remoteImages({ chat }: ParsedBody): string[] {
  const addresses = chat.messages.flatMap((message) => {
    if (!isRecord(message) || !Array.isArray(message.content)) return [];
    return message.content.flatMap((part) => {
      const url = isRecord(part) && part.type === 'image_url' ? addressIn(part) : null;
      return url && isRemote(url) ? [url] : [];
    });
  });
  return [...new Set(addresses)];
}

/**
 * The content of a message as parts. Empty texts are left out.
 * @param path where the content stands in the body, for errors
 * @throws ValidationError for what no part can hold
 */
export function toParts(
  content: unknown,
  path: string,
  images: ReadonlyMap<string, InlineImage>,
  notes: Notes,
): Part[] {
  if (content == null) return [];
  if (typeof content === 'string') return content === '' ? [] : [{ text: content }];
  if (!Array.isArray(content)) throw invalid(path, 'must be a text or a list of parts');
  return content.flatMap((part, at) => toPart(part, `${path}.${at}`, images, notes));
}

/** The text of all parts that have one. */
export function textOf(parts: readonly Part[]): string {
  return parts.map(({ text }) => text ?? '').join('');
}

function toPart(part: unknown, path: string, images: ReadonlyMap<string, InlineImage>, notes: Notes): Part[] {
  if (typeof part === 'string') return part === '' ? [] : [{ text: part }];
  if (!isRecord(part)) throw invalid(path, 'must be an object with a type');
  switch (part.type) {
    case 'text':
    case 'refusal': {
      const text = part.type === 'refusal' ? part.refusal : part.text;
      if (typeof text !== 'string') throw invalid(path, 'must have a text');
      return text === '' ? [] : [{ text }];
    }
    case 'image_url': {
      const url = addressIn(part);
      if (url === null) throw invalid(path, 'must have an image_url with a url');
      return [toImage(url, path, images)];
    }
    case 'input_audio': {
      const { data, format } = isRecord(part.input_audio) ? part.input_audio : {};
      const mimeType = typeof format === 'string' ? AUDIO_TYPES[format] : undefined;
      if (typeof data !== 'string' || !mimeType) throw invalid(path, 'must hold audio as base64, in wav or mp3');
      return [{ inlineData: { mimeType, data } }];
    }
    case 'file': {
      const { file_data: data } = isRecord(part.file) ? part.file : {};
      const file = typeof data === 'string' ? parseDataUrl(data) : null;
      if (!file) throw invalid(path, 'must hold a file as a data URL in file_data, for Gemini');
      return [{ inlineData: { mimeType: file.mediaType, data: file.data } }];
    }
    default:
      notes.leftOut(path, 'Gemini does not take content of this type');
      return [];
  }
}

function toImage(url: string, path: string, images: ReadonlyMap<string, InlineImage>): Part {
  if (isGoogleFile(url)) return { fileData: { fileUri: url } };
  const image = parseDataUrl(url) ?? images.get(url);
  if (!image) throw invalid(path, `must be a data URL or an http address, not "${shorten(url)}"`);
  return { inlineData: { mimeType: image.mediaType, data: image.data } };
}

function addressIn({ image_url: image }: Record<string, unknown>): string | null {
  const url = isRecord(image) ? image.url : image;
  return typeof url === 'string' ? url : null;
}

function isRemote(url: string): boolean {
  return /^https?:\/\//i.test(url) && !isGoogleFile(url);
}

/** Files that were uploaded to Google are named, not sent. */
function isGoogleFile(url: string): boolean {
  return url.startsWith('gs://') || url.startsWith('https://generativelanguage.googleapis.com/v1beta/files/');
}
