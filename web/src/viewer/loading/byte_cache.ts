/** Answers kept by URL, the least recently used dropped first, never more than a number of bytes. */

export interface ByteCache<T> {
  get(key: string): T | undefined;
  /** Keeps a value of `bytes`; one larger than the whole cache is not kept. */
  set(key: string, value: T, bytes: number): void;
  has(key: string): boolean;
  clear(): void;
  readonly bytes: number;
}

export function makeByteCache<T>(limit: number): ByteCache<T> {
  const kept = new Map<string, { value: T; bytes: number }>();
  let total = 0;
  const drop = (key: string) => {
    total -= kept.get(key)?.bytes ?? 0;
    kept.delete(key);
  };
  return {
    get(key) {
      const entry = kept.get(key);
      if (entry === undefined) return undefined;
      kept.delete(key);
      kept.set(key, entry);
      return entry.value;
    },
    set(key, value, bytes) {
      drop(key);
      if (bytes > limit) return;
      kept.set(key, { value, bytes });
      total += bytes;
      for (const oldest of kept.keys()) {
        if (total <= limit) break;
        drop(oldest);
      }
    },
    has: (key) => kept.has(key),
    clear() {
      kept.clear();
      total = 0;
    },
    get bytes() {
      return total;
    },
  };
}
