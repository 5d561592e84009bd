/** The words of the page around the viewer, in the language of the reader. */

import { directionOf, localeOf, messagesIn, type Words, wordsOf } from "../../viewer/messages/text";
import en from "./en.json";

export type AppKey = keyof typeof en;

export interface AppWords extends Words<AppKey> {
  /** For dates and units. */
  readonly locale: string;
  readonly direction: "ltr" | "rtl";
  /** Whether there are words for a code that the server gives. */
  has(key: string): boolean;
}

export const LANGUAGES: readonly (readonly [code: string, name: string])[] = [
  ["en", "English"],
  ["de", "Deutsch"],
  ["hi", "हिन्दी"],
  ["ar", "العربية"],
];
const FILES = {
  de: () => import("./de.json"),
  hi: () => import("./hi.json"),
  ar: () => import("./ar.json"),
};
const STORED = "mammolens-language";

export function appWordsOf(language: string, messages: Readonly<Record<AppKey, string>>): AppWords {
  return {
    ...wordsOf<AppKey>(language, messages),
    direction: directionOf(language),
    locale: localeOf(language),
    has: (key) => key in messages,
  };
}

export async function loadAppWords(language: string): Promise<AppWords> {
  return appWordsOf(...(await messagesIn(language, en, FILES)));
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
