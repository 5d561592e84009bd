/** Words for people: `say("viewer.step", { n: 1, of: 9 })`, in the language of the reader. */

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

/**
 * How numbers and dates are written. English has days before months and 24 hours, which nobody
 * misreads. Arabic has the digits 0 to 9: those of BI-RADS, of millimetres and of patient IDs.
 */
const LOCALES: Readonly<Record<string, string>> = { en: "en-GB", ar: "ar-u-nu-latn" };
const RIGHT_TO_LEFT = ["ar", "he", "fa", "ur"];

export const localeOf = (language: string) => LOCALES[language] ?? language;
export const directionOf = (language: string) => (RIGHT_TO_LEFT.includes(language) ? "rtl" : "ltr");

export function wordsOf<Key extends string>(
  language: string,
  messages: Readonly<Record<Key, string>>,
): Words<Key> {
  const locale = localeOf(language);
  // In a text from the right, a name or a measure from the left keeps its own direction.
  const [open, shut] = directionOf(language) === "rtl" ? ["\u2068", "\u2069"] : ["", ""];
  return {
    language,
    say: (key, values = {}) =>
      messages[key].replace(
        /\{(\w+)\}/g,
        (_, name: string) => `${open}${values[name] ?? `{${name}}`}${shut}`,
      ),
    number: (value, digits) =>
      value.toLocaleString(locale, {
        minimumFractionDigits: digits,
        maximumFractionDigits: digits,
        useGrouping: false,
      }),
    percent: (share) =>
      share.toLocaleString(locale, { style: "percent", maximumSignificantDigits: 2 }),
  };
}

type Loaded = { readonly default: Readonly<Record<string, string>> };

/** The messages of a language; English stands in for a language, or a key, that is not there. */
export async function messagesIn<Key extends string>(
  wanted: string,
  english: Readonly<Record<Key, string>>,
  files: Readonly<Record<string, () => Promise<Loaded>>>,
): Promise<readonly [language: string, messages: Readonly<Record<Key, string>>]> {
  const language = wanted.slice(0, 2).toLowerCase();
  if (!(language in files)) return ["en", english];
  return [language, { ...english, ...(await files[language]()).default }];
}

const FILES = {
  de: () => import("./de.json"),
  hi: () => import("./hi.json"),
  ar: () => import("./ar.json"),
};

export async function loadWords(language: string): Promise<Words> {
  return wordsOf(...(await messagesIn(language, en, FILES)));
}
