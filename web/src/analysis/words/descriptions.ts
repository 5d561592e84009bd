/** Sides, views and topics in free text; the same rules as `mammolens.images.descriptions`. */

import tables from "../tables.json";
import type { Side, View } from "../types";
import { VIEWS } from "../types";

export interface Reading {
  readonly side: Side | null;
  readonly view: View | null;
  /** Texts of topics, as in `tables.topics`. */
  readonly topics: ReadonlySet<string>;
}

type Value =
  | { kind: "side"; value: Side }
  | { kind: "view"; value: View }
  | { kind: "topic"; value: string }
  | { kind: "both" | "ordinary"; value: "" };

export const TOPIC = tables.topics;
const LETTERS: Readonly<Record<string, Side>> = { L: "L", LT: "L", R: "R", RT: "R" };
const AFFIXES: Readonly<Record<string, string>> = {
  MAG: TOPIC.MAGNIFIED,
  M: TOPIC.MAGNIFIED,
  SPOT: TOPIC.SPOT,
  SP: TOPIC.SPOT,
  S: TOPIC.SPOT,
  TAN: TOPIC.TANGENTIAL,
  RL: TOPIC.ROLLED,
  RM: TOPIC.ROLLED,
  RI: TOPIC.ROLLED,
  RS: TOPIC.ROLLED,
  ID: TOPIC.IMPLANT,
  NP: TOPIC.NIPPLE,
  NIP: TOPIC.NIPPLE,
  AC: TOPIC.MODIFIED,
  IMF: TOPIC.MODIFIED,
  AX: TOPIC.AXILLA,
  AT: TOPIC.TAIL,
};
const AFFIX_WORDS = Object.keys(AFFIXES).sort((a, b) => b.length - a.length);
const AFFIX = AFFIX_WORDS.join("|");
const LONG_SUFFIXES = AFFIX_WORDS.filter((word) => word.length > 1).join("|");
const PREFIXES = "((?:MAG|SPOT|TAN|M|S)*)";
const LABEL = new RegExp(`^([LR])?${PREFIXES}(XCCL|XCCM|CC|MLO|LMO|ML|LM)((?:${LONG_SUFFIXES})*)$`);
const POSITION = new RegExp(
  `^([LR])?${PREFIXES}(XCCL|XCCM|CC|MLO|LMO|ML|LM|FB|SIO|ISO)((?:${AFFIX})*)$`,
);
const MODIFIERS = new RegExp(`^(?:${AFFIX})+$`);
const WORD = "[\\p{L}\\p{N}_]";
/** A magnification factor of 1.3 or more. */
const FACTOR = new RegExp(
  `(?<!${WORD})1[.,][3-9]\\p{Nd}?\\s?(?:[xX](?!${WORD})|×(?=${WORD}))` +
    `|(?:(?<!${WORD})[xX]|(?<=${WORD})×)\\s?1[.,][3-9]`,
  "u",
);

/** Reads a description, the name of a protocol or paddle, or the meaning of a code. */
export function readDescription(text: string): Reading {
  const words = wordsOf(text);
  const found = [...meanings(words)];
  const sides = new Set<Side>();
  const views = new Set<View>();
  const topics = new Set<string>();
  for (const value of found) {
    if (value.kind === "side") sides.add(value.value);
    if (value.kind === "view") views.add(value.value);
    if (value.kind === "topic") topics.add(value.value);
  }
  if (FACTOR.test(text)) topics.add(TOPIC.MAGNIFIED);
  for (const topic of separateModifiers(words)) topics.add(topic);
  if (views.size) for (const word of words) if (LETTERS[word]) sides.add(LETTERS[word]);
  const both = found.some(({ kind }) => kind === "both");
  return {
    side: sides.size === 1 && !both ? only(sides) : null,
    view: views.size === 1 ? only(views) : null,
    topics,
  };
}

/** Reads one value of View Position: a view, with or without side and modifiers. */
export function readViewPosition(value: string): Reading {
  const compact = value.toUpperCase().replace(/[^A-Z]/g, "");
  if (VIEWS.includes(compact)) {
    return { side: null, view: compact as View, topics: new Set() };
  }
  const label = POSITION.exec(compact);
  if (label === null) {
    const alone = MODIFIERS.test(compact) ? affixTopics(compact) : [];
    const found = readDescription(value);
    return { ...found, topics: new Set([...found.topics, ...alone]) };
  }
  return {
    side: label[1] ? LETTERS[label[1]] : null,
    view: label[3] as View,
    topics: new Set([...affixTopics(label[2]), ...affixTopics(label[4])]),
  };
}

/** Reads the value of an attribute for the side: a letter or a word. */
export function readSide(value: string): Side | null {
  const words = wordsOf(value);
  const sides = new Set<Side>();
  for (const word of words) if (LETTERS[word]) sides.add(LETTERS[word]);
  for (const found of meanings(words)) if (found.kind === "side") sides.add(found.value);
  return sides.size === 1 ? only(sides) : null;
}

/** The topics of a reading that are among others, in alphabetical order. */
export function among(topics: Iterable<string>, others: Iterable<string>): string[] {
  const wanted = new Set(others);
  return [...topics].filter((topic) => wanted.has(topic)).sort();
}

function only<T>(values: Set<T>): T {
  return values.values().next().value as T;
}

function wordsOf(text: string): string[] {
  const plain = text.replaceAll("ß", "ss").normalize("NFKD").toUpperCase();
  return plain.replace(/\p{M}/gu, "").match(/[A-Z]+|\p{Nd}+/gu) ?? [];
}

function affixTopics(affixes: string): string[] {
  return (affixes.match(new RegExp(AFFIX, "g")) ?? []).map((part) => AFFIXES[part]);
}

function* meanings(words: readonly string[]): Generator<Value> {
  let at = 0;
  while (at < words.length) {
    const word = words[at];
    let length = longest.get(word) ?? 0;
    let values: Value[] = [];
    for (; length > 0; length--) {
      const value = phrases.get(words.slice(at, at + length).join(" "));
      if (value !== undefined) {
        values = [value];
        break;
      }
    }
    if (length === 0) {
      length = 1;
      const start = beginnings.find(([start]) => word.startsWith(start));
      const label = start ? null : LABEL.exec(word);
      if (start) values = [{ kind: "topic", value: start[1] }];
      else if (label) values = labelMeanings(label);
    }
    if (values.length && !isNegated(words, at, values[0])) yield* values;
    at += length;
  }
}

function* separateModifiers(words: readonly string[]): Generator<string> {
  for (const [at, word] of words.entries()) {
    if (!LABEL.test(word)) continue;
    const before = words[at - 1];
    const after = words[at + 1];
    if (before === "M" || before === "S") yield AFFIXES[before];
    if (after !== undefined && after.length > 1 && AFFIXES[after]) yield AFFIXES[after];
  }
}

function labelMeanings(label: RegExpExecArray): Value[] {
  const topics = [...affixTopics(label[2]), ...affixTopics(label[4])];
  return [
    { kind: "view", value: label[3] as View },
    ...(label[1] ? [{ kind: "side", value: LETTERS[label[1]] } as const] : []),
    ...topics.map((value) => ({ kind: "topic", value }) as const),
  ];
}

function isNegated(words: readonly string[], at: number, value: Value): boolean {
  const before = words.slice(Math.max(at - 2, 0), at);
  // "100 ml" is a volume.
  if (value.kind === "view" && before.length && /^\p{Nd}+$/u.test(before[before.length - 1])) {
    return true;
  }
  return (
    value.kind === "topic" &&
    (before.some((word) => tables.negations.includes(word)) || before.join(" ") === "W O")
  );
}

const phrases = new Map<string, Value>();
const longest = new Map<string, number>();
const beginnings: [start: string, topic: string][] = [];

function learn(value: Value, listed: string): void {
  for (const phrase of listed.split(",").map((text) => text.trim())) {
    if (phrase.endsWith("*") && value.kind === "topic") {
      beginnings.push([phrase.slice(0, -1), value.value]);
      continue;
    }
    if (!phrases.has(phrase)) phrases.set(phrase, value);
    const parts = phrase.split(/\s+/);
    longest.set(parts[0], Math.max(longest.get(parts[0]) ?? 0, parts.length));
  }
}

learn({ kind: "ordinary", value: "" }, tables.ordinary);
learn({ kind: "both", value: "" }, tables.bothSides);
for (const [side, words] of tables.sideWords) learn({ kind: "side", value: side as Side }, words);
for (const [view, words] of tables.viewWords) learn({ kind: "view", value: view as View }, words);
for (const [topic, words] of tables.topicWords) learn({ kind: "topic", value: topic }, words);
beginnings.sort((a, b) => b[0].length - a[0].length);
