/**
 * Whether an image is of the patient who agreed, as `mammolens.serve.uploads.patients`; tests of both
 * read the same table. What is missing, blanked or in another script proves nothing. Pure.
 */

import { isPlaceholder } from "../../analysis/exams/identity";

export interface Agreed {
  readonly name: string;
  readonly patientId: string;
  readonly birthYear: number;
}

/** What an image states of its patient. */
export interface Stated {
  readonly patientId: string | null;
  /** A DICOM person name. */
  readonly patientName: string | null;
  readonly birthYear: number | null;
}

export type Contradiction = "other-patient" | "other-birth-year" | "other-name";

export function contradictions(agreed: Agreed, stated: Stated): readonly Contradiction[] {
  const found: Contradiction[] = [];
  const isNamed = !isPlaceholder(stated.patientId);
  if (isNamed && plainId(stated.patientId ?? "") !== plainId(agreed.patientId)) {
    found.push("other-patient");
  }
  if (stated.birthYear !== null && stated.birthYear !== agreed.birthYear) {
    found.push("other-birth-year");
  }
  if (isOtherName(agreed.name, stated.patientName)) found.push("other-name");
  return found;
}

/** Blanks, letters' case and leading zeros differ between systems. */
function plainId(id: string): string {
  return id
    .trim()
    .toLowerCase()
    .replace(/^0+(?=.)/, "");
}

/** Order, titles, accents and further names are no difference; an initial stands for a name. */
function isOtherName(agreed: string, stated: string | null): boolean {
  const script = scriptOf(agreed);
  const forms = (stated ?? "")
    .split("=")
    .filter((form) => !isPlaceholder(form) && !UNDECODED.test(form))
    .filter((form) => script !== null && scriptOf(form) === script);
  return forms.length > 0 && !forms.some((form) => agree(wordsIn(agreed), wordsIn(form)));
}

function agree(one: readonly string[], other: readonly string[]): boolean {
  const [fewer, more] = one.length <= other.length ? [one, other] : [other, one];
  return fewer.every((word) => more.some((name) => isSame(word, name)));
}

function isSame(one: string, other: string): boolean {
  const [first, second] = [[...one], [...other]];
  if (first.length === 1 || second.length === 1) return first[0] === second[0];
  return one === other;
}

function wordsIn(name: string): readonly string[] {
  const bare = name.normalize("NFKD").replace(/[\u0300-\u036f]/g, "");
  return bare
    .toLowerCase()
    .split(/[\s^.,;'’/-]+/)
    .filter(Boolean);
}

/** Bytes whose character set is unknown stand as \xNN. */
const UNDECODED = /\\x[0-9a-f]{2}/i;
const SCRIPTS =
  "Latin Devanagari Arabic Cyrillic Greek Hebrew Bengali Gujarati Gurmukhi Kannada Malayalam Oriya Tamil Telugu Sinhala Thai Lao Khmer Myanmar Ethiopic Armenian Georgian Han Hiragana Katakana Hangul"
    .split(" ")
    .map((name) => [name, new RegExp(`^\\p{Script=${name}}`, "u")] as const);

/** The script of the first letter; null: it is not known, and nothing is compared. */
function scriptOf(name: string): string | null {
  const letter = /\p{L}/u.exec(name)?.[0];
  if (letter === undefined) return null;
  return SCRIPTS.find(([, form]) => form.test(letter))?.[0] ?? null;
}
