/** Words for people: `say("viewer.step", { n: 1, of: 9 })`, in the language of the reader. */

import type de from "./de.json";
import en from "./en.json";

export type Messages = Readonly<Record<keyof typeof en, string>>;
export type MessageKey = keyof Messages;

export interface Words<Key extends string = MessageKey> {
  say(key: Key, values?: Readonly<Record<string, string | number>>): string;
  /** A number in the way of the language. */
  number(value: number, digits: number): string;
  percent(share: number): string;
  readonly language: string;
}

export function wordsOf<Key extends string>(
  language: string,
  messages: Readonly<Record<Key, string>>,
): Words<Key> {
  return {
    language,
    say: (key, values = {}) =>
      messages[key].replace(/\{(\w+)\}/g, (_, name: string) => String(values[name] ?? `{${name}}`)),
    number: (value, digits) =>
      value.toLocaleString(language, {
        minimumFractionDigits: digits,
        maximumFractionDigits: digits,
        useGrouping: false,
      }),
    percent: (share) =>
      share.toLocaleString(language, { style: "percent", maximumSignificantDigits: 2 }),
  };
}

/** Loads the messages of a language; English stands in for one that is not there. */
export async function loadWords(language: string): Promise<Words> {
  const short = language.slice(0, 2).toLowerCase();
  if (short !== "de") return wordsOf("en", en);
  const german: { default: typeof de } = await import("./de.json");
  return wordsOf("de", german.default);
}
