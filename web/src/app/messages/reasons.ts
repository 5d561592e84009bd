/**
 * Doubts, cautions and refusals in the language of the reader. Server and analysis give them in
 * English sentences of a fixed form, which are the keys here, as in gettext: the English message is
 * the pattern, its holes are the values. `tests/golden/reasons.json` lists every sentence of
 * mammolens, and a test finds each of them here. One of a newer server is shown as it is, and
 * named as English.
 */

import { wordsOf } from "../../viewer/messages/text";

export type ReasonMessages = Readonly<Record<string, string>>;

export interface Reasons {
  /** The sentence, or the name of a refusal, in the language of the reader. */
  say(text: string): string;
  /** Whether there are words for all of it. */
  knows(text: string): boolean;
}

interface Pattern {
  readonly key: string;
  readonly form: RegExp;
  readonly letters: number;
}

/** A refusal has its file before it, the attribute and an English remedy behind it. */
const FRAMED = /^(cause|model_failed)\b/;
const VIEW =
  /^((?:(?:[LR]|side\?) ?(?:[A-Z]{2,4}|view\?)|unknown view)(?:, [LR] ?[A-Z]{2,4})*): (.*)$/s;
const CLASS = /^[A-Z][A-Za-z]+$/;
/** Patterns with fewer letters fit anything; they count only where all their values are known. */
const FEW_LETTERS = 4;
/** Only these values are lists of sentences; another one with a semicolon has run too far. */
const LISTS = ["reasons", "faults", "kinds", "why"];
const DEEPEST = 4;

export function reasonsOf(
  language: string,
  english: ReasonMessages,
  messages: ReasonMessages,
): Reasons {
  const words = wordsOf<string>(language, messages);
  let compiled: readonly Pattern[] | null = null;
  const patterns = () => {
    compiled ??= patternsOf(english);
    return compiled;
  };

  /** The whole text by one pattern, or null. */
  function whole(text: string, depth: number): string | null {
    for (const { key, form, letters } of patterns()) {
      const isFramed = FRAMED.test(key);
      if (isFramed && depth > 0) continue;
      const found = form.exec(text)?.groups;
      if (found === undefined && !form.test(text)) continue;
      const { at_, in_, ...holes } = found ?? {};
      const runsOn = ([name, value]: [string, string]) =>
        value.includes("; ") && !LISTS.includes(name);
      if (Object.entries(holes).some(runsOn)) continue;
      const known = Object.entries(holes).map(
        ([name, value]) => [name, depth < DEEPEST ? inner(value, depth + 1) : null] as const,
      );
      const isVague = letters < FEW_LETTERS;
      if (isVague && known.some(([name, value]) => name !== "attribute" && value === null))
        continue;
      const values = Object.fromEntries(known.map(([name, value]) => [name, value ?? holes[name]]));
      const said = words.say(key, values);
      return `${at_ ? `${at_}: ` : ""}${said}${in_ ? ` [${in_}]` : ""}`;
    }
    return null;
  }

  /** A value: a phrase of mammolens or a list of them; null: it stays as it is. */
  function inner(text: string, depth: number): string | null {
    const one = whole(text, depth);
    if (one !== null) return one;
    for (const comma of ["; ", ", "]) {
      if (!text.includes(comma)) continue;
      const said = parts(text.split(comma), comma, depth);
      if (said.every(({ isKnown }) => isKnown)) return said.map((part) => part.text).join(comma);
      if (comma === "; " && said.some(({ isKnown }) => isKnown))
        return said.map(marked).join(comma);
    }
    return null;
  }

  /** Parts of a list, the longest first: a part may hold the comma itself. */
  function parts(pieces: readonly string[], comma: string, depth: number) {
    const said: { text: string; isKnown: boolean }[] = [];
    for (let from = 0; from < pieces.length; ) {
      let to = pieces.length;
      let text: string | null = null;
      for (; to > from; to--) {
        text = whole(pieces.slice(from, to).join(comma), depth);
        if (text !== null) break;
      }
      said.push({ text: text ?? pieces[from], isKnown: text !== null });
      from = text === null ? from + 1 : to;
    }
    return said;
  }

  const marked = ({ text, isKnown }: { text: string; isKnown: boolean }) =>
    isKnown || language === "en" ? text : words.say("other", { text });

  function find(text: string): string | null {
    if (CLASS.test(text))
      return `refusal.${text}` in messages ? words.say(`refusal.${text}`) : null;
    const [, view, rest] = VIEW.exec(text) ?? [];
    if (rest !== undefined) {
      const said = find(rest);
      return said === null ? null : `${view}: ${said}`;
    }
    const one = whole(text, 0);
    if (one !== null || !text.includes("; ")) return one;
    const said = parts(text.split("; "), "; ", 0);
    return said.some(({ isKnown }) => isKnown) ? said.map(marked).join("; ") : null;
  }

  return {
    say: (text) => {
      // English is what they are written in: only the bare name of a refusal needs a sentence.
      if (language === "en" && !CLASS.test(text)) return text;
      return find(text) ?? marked({ text, isKnown: false });
    },
    knows: (text) => find(text) !== null,
  };
}

function patternsOf(english: ReasonMessages): readonly Pattern[] {
  return Object.entries(english)
    .filter(([key]) => key !== "other" && !key.startsWith("refusal."))
    .map(([key, text]) => {
      const literal = text.split(/\{\w+\}/);
      const names = [...text.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
      const seen = new Set<string>();
      const body = literal
        .map((part, n) => {
          const name = names[n];
          const escaped = part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
          if (name === undefined) return escaped;
          if (seen.has(name)) return `${escaped}\\k<${name}>`;
          seen.add(name);
          return `${escaped}(?<${name}>${name === "attribute" ? "[A-Z]\\w+" : ".+?"})`;
        })
        .join("");
      const form = FRAMED.test(key)
        ? `^(?:(?<at_>.+?): )?${body}(?: \\[(?<in_>\\w+)\\])?(?:\\. .*)?$`
        : `^${body}$`;
      return {
        key,
        form: new RegExp(form, "s"),
        letters: literal.join("").replace(/\W/g, "").length,
      };
    })
    .sort((one, other) => other.letters - one.letters);
}
