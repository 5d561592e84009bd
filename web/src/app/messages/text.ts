/** The words of the page around the viewer, in the language of the reader. */

import { type Words, wordsOf } from "../../viewer/messages/text";
import en from "./en.json";

export type AppKey = keyof typeof en;

export interface AppWords extends Words<AppKey> {
  /** For dates and units. English has days before months and 24 hours, which nobody misreads. */
  readonly locale: string;
  readonly direction: "ltr" | "rtl";
  /** Whether there are words for a code that the server gives. */
  has(key: string): boolean;
}

export const LANGUAGES: readonly (readonly [code: string, name: string])[] = [
  ["en", "English"],
  ["de", "Deutsch"],
];
/** Of the languages that may come: Arabic, Hebrew, Persian, Urdu. */
const RIGHT_TO_LEFT = ["ar", "he", "fa", "ur"];
const STORED = "mammolens-language";

export function appWordsOf(language: string, messages: Readonly<Record<AppKey, string>>): AppWords {
  return {
    ...wordsOf<AppKey>(language, messages),
    direction: RIGHT_TO_LEFT.includes(language) ? "rtl" : "ltr",
    locale: language === "en" ? "en-GB" : language,
    has: (key) => key in messages,
  };
}

/** English stands in for a language that is not there. */
export async function loadAppWords(language: string): Promise<AppWords> {
  if (language.slice(0, 2).toLowerCase() !== "de") return appWordsOf("en", en);
  const german = await import("./de.json");
  return appWordsOf("de", german.default);
}

/** The language that was chosen on this machine, else the browser's. */
export function preferredLanguage(): string {
  try {
    return localStorage.getItem(STORED) ?? navigator.language;
  } catch {
    return navigator.language;
  }
}

export function keepLanguage(language: string): void {
  try {
    localStorage.setItem(STORED, language);
  } catch {
    // Without storage the choice holds as long as the page.
  }
}
