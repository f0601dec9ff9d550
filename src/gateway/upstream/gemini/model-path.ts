import { storable } from '../../../platform/storable.ts';

/** Where a model is, below the base URL: `models/…`, or what it says itself, `tunedModels/…`. Names cannot leave their place. */
export function modelPath(name: string): string {
  const [, folder = 'models', own = name] = /^(models|tunedModels)\/(.+)$/s.exec(name) ?? [];
  return `${folder}/${encodeURIComponent(storable(own))}`;
}
