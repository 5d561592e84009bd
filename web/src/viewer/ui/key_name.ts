/** The name of a key as a person reads it. */

import type { MessageKey, Words } from "../messages/text";

export function keyName(key: string, words: Words): string {
  if (key === " ") return words.say("key.space");
  if (key.length === 1) return key.toUpperCase();
  return words.say(`key.${key}` as MessageKey);
}
