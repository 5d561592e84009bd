/** The words of the page around the viewer, in the language of the reader. */

import { directionOf, localeOf, messagesIn, type Words, wordsOf } from "../../viewer/messages/text";
import en from "./en.json";
import { reasonsOf } from "./reasons";

export type AppKey = keyof typeof en;

export interface AppWords extends Words<AppKey> {
  /** For dates and units. */
  readonly locale: string;
  readonly direction: "ltr" | "rtl";
  /** Whether there are words for a code that the server gives. */
  has(key: string): boolean;
  /** A doubt, caution or refusal of mammolens, which it says in English. */
  reason(text: string): string;
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
const REASONS = {
  de: () => import("./reasons/de.json"),
  hi: () => import("./reasons/hi.json"),
  ar: () => import("./reasons/ar.json"),
};
const STORED = "mammolens-language";

export function appWordsOf(
  language: string,
  messages: Readonly<Record<AppKey, string>>,
  reason: AppWords["reason"] = (text) => text,
): AppWords {
  return {
    ...wordsOf<AppKey>(language, messages),
    direction: directionOf(language),
    locale: localeOf(language),
    has: (key) => key in messages,
    reason,
  };
}

export async function loadAppWords(language: string): Promise<AppWords> {
  const english = (await import("./reasons/en.json")).default;
  const [[code, messages], [, reasons]] = await Promise.all([
    messagesIn(language, en, FILES),
    messagesIn<string>(language, english, REASONS),
  ]);
  return appWordsOf(code, messages, reasonsOf(code, english, reasons).say);
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
