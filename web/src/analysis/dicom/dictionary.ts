/** Tags, keywords and value representations of the attributes that are read. */

import tables from "../tables.json";

const TAGS = tables.tags as unknown as Readonly<Record<string, readonly [number, string]>>;
const NAMES = new Map(Object.entries(TAGS).map(([name, [tag]]) => [tag, name]));

/** Attributes at the top level of a data set. */
export const READ: ReadonlySet<number> = new Set(tables.read.map(tagOf));
export const LONG_TEXTS: ReadonlySet<number> = new Set(tables.longTexts.map(tagOf));
/** Sequences of look-up tables. */
export const TABLES: ReadonlySet<number> = new Set(
  ["ModalityLUTSequence", "VOILUTSequence"].map(tagOf),
);

export function tagOf(keyword: string): number {
  return TAGS[keyword][0];
}

export function dictionaryVr(keyword: string): string {
  return TAGS[keyword][1];
}

export function isSequence(tag: number): boolean {
  const name = NAMES.get(tag);
  return name !== undefined && TAGS[name][1] === "SQ";
}

export function keywordOf(tag: number): string {
  const digits = tag.toString(16).toUpperCase().padStart(8, "0");
  return NAMES.get(tag) ?? `(${digits.slice(0, 4)},${digits.slice(4)})`;
}

export function uidName(uid: string): string {
  return (tables.uids as Readonly<Record<string, string>>)[uid] ?? uid;
}

/** Overlays' bit positions and data, and the view label of GE's units. */
export function isSpecial(tag: number): boolean {
  const group = tag >>> 16;
  const element = tag & 0xffff;
  if (group === 0x0045) return (element >= 0x10 && element < 0x100) || (element & 0xff) === 0x1b;
  return (group & 0xff01) === 0x6000 && (element === 0x0102 || element === 0x3000);
}
