/**
 * Sets an entry as the newest of a map; beyond `most` entries the oldest goes. A map that is only set like this is in the
 * order in which its entries were set last.
 */
export function setNewest<Key, Value>(map: Map<Key, Value>, key: Key, value: Value, most: number): void {
  if (!map.delete(key) && map.size >= most) map.delete(map.keys().next().value as Key);
  map.set(key, value);
}
