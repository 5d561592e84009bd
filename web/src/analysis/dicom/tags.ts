/** Reads attributes with tolerance, as `mammolens.images.dicom.tags` does. */

import type { Caution, Code } from "../types";
import { caution, doubt, Refusal } from "../types";
import { type DataSet, type Element, latin1 } from "./data_set";
import { dictionaryVr, tagOf } from "./dictionary";
import { charsetOf, decodeText, type TextUse } from "./text";

const TEXT_VRS = new Set(["PN", "LO", "SH", "UC", "ST", "LT", "UT"]);
const ONE_VALUE = new Set(["ST", "LT", "UT"]);
const FORMS: Readonly<Record<string, RegExp>> = {
  CS: /^[A-Z0-9 _]{0,16}$/,
  UI: /^[0-9.]{0,64}$/,
  DA: /^(?:\d{8}|\d{4}\.\d\d\.\d\d)? *$/,
  TM: /^[0-9.:]* *$/,
  AS: /^(?:\d{3}[DWMY])?$/,
  DS: /^[0-9+\-.eE ]{0,16}$/,
  IS: /^[0-9+\- ]{0,12}$/,
};
const IDENTIFIERS = new Set(
  "PatientID OtherPatientIDs IssuerOfPatientID AccessionNumber StudyID".split(" "),
);
const BINARY: Readonly<Record<string, [size: number, read: (v: DataView, at: number) => number]>> =
  {
    US: [2, (v, at) => v.getUint16(at, true)],
    SS: [2, (v, at) => v.getInt16(at, true)],
    UL: [4, (v, at) => v.getUint32(at, true)],
    SL: [4, (v, at) => v.getInt32(at, true)],
    FL: [4, (v, at) => v.getFloat32(at, true)],
    FD: [8, (v, at) => v.getFloat64(at, true)],
  };
const GE_CREATOR = "GEMS_SENO_02";

/** Notes of one file, each once. */
export class Notes {
  readonly list: Caution[] = [];

  add(note: Caution): void {
    if (!this.list.some((c) => same(c, note))) this.list.push(note);
  }
}

function same(a: Caution, b: Caution): boolean {
  return a.name === b.name && a.message === b.message && a.doubt === b.doubt;
}

export class Tags {
  private readonly read = new Map<string, readonly string[]>();
  private readonly charset: string | null;

  constructor(
    readonly dataSet: DataSet,
    readonly source: string,
    readonly notes: Notes = new Notes(),
    outerCharset: string | null = "",
    private readonly signed: boolean | null = null,
  ) {
    const own = dataSet.elements.has(tagOf("SpecificCharacterSet"));
    this.charset = outerCharset;
    if (own) this.charset = charsetOf(this.raw("SpecificCharacterSet"));
  }

  caution(name: string, message: string): void {
    this.notes.add(caution(name, message));
  }

  doubt(name: string, message: string): void {
    this.notes.add(doubt(name, message));
  }

  /** All non-empty values as text. */
  texts(keyword: string): readonly string[] {
    let found = this.read.get(keyword);
    if (found === undefined) {
      found = this.tolerated(keyword)
        .map((text) => stripped(stripped(text), "\0"))
        .filter((text) => text !== "");
      this.read.set(keyword, found);
    }
    return found;
  }

  text(keyword: string): string | null {
    return this.texts(keyword)[0] ?? null;
  }

  /** The first value in upper case. */
  code(keyword: string): string | null {
    return this.text(keyword)?.toUpperCase() ?? null;
  }

  /** All values as finite numbers; empty if one is unreadable. */
  numbers(keyword: string): readonly number[] {
    try {
      return this.exactNumbers(keyword);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
    }
    const numbers = this.tolerated(keyword).map((text) => toNumber(text.replaceAll(",", ".")));
    if (numbers.length && numbers.every((n) => n !== null && Number.isFinite(n))) {
      return numbers as number[];
    }
    this.caution("unreadable_attribute", `${keyword} cannot be read and was ignored`);
    return [];
  }

  /** All values of an attribute that the pixels need. */
  exactNumbers(keyword: string): readonly number[] {
    const found: number[] = [];
    for (const value of this.values(keyword)) {
      if (value === "" || value === " ") continue;
      const number = typeof value === "number" ? value : toNumber(value);
      if (number === null) throw this.unusable(keyword, "cannot be read");
      found.push(number);
    }
    if (!found.every(Number.isFinite)) throw this.unusable(keyword, "is not a finite number");
    return found;
  }

  integer(keyword: string): number | null {
    const [first] = this.exactNumbers(keyword);
    return first === undefined ? null : Math.trunc(first);
  }

  items(keyword: string): readonly DataSet[] {
    return this.element(keyword)?.items ?? [];
  }

  inner(keyword: string): Tags[] {
    const signed = this.signed ?? this.isSigned();
    return this.items(keyword).map(
      (item) => new Tags(item, this.source, this.notes, this.charset, signed),
    );
  }

  /** Whether the attribute has a value, readable or not. */
  holds(keyword: string): boolean {
    const element = this.element(keyword);
    return element !== undefined && (element.value.length > 0 || !!element.items?.length);
  }

  codes(keyword: string): Code[] {
    return this.inner(keyword).map((item) => [
      item.text("CodeValue") ?? item.text("LongCodeValue") ?? item.text("URNCodeValue") ?? "",
      item.text("CodingSchemeDesignator") ?? "",
      item.text("CodeMeaning") ?? "",
    ]);
  }

  /** The private view label of GE's units, such as LCC. */
  clinicalView(): string | null {
    for (let block = 0x10; block < 0x100; block++) {
      const creator = this.dataSet.elements.get(0x00450000 + block);
      if (creator === undefined || stripped(latin1(creator.value), " \0") !== GE_CREATOR) continue;
      const label = this.dataSet.elements.get(0x00450000 + block * 0x100 + 0x1b);
      if (label === undefined || label.value.length === 0) return null;
      const text = stripped(latin1(label.value), " \0");
      if (!/^[\x20-\x7e]*$/.test(text)) this.unported("Clinical View");
      return text || null;
    }
    return null;
  }

  unusable(keyword: string, cause: string): Refusal {
    return new Refusal("NotAnImage", `${keyword} ${cause}`, {
      source: this.source,
      keyword,
      remedy: "Export the image again",
    });
  }

  element(keyword: string): Element | undefined {
    return this.dataSet.elements.get(tagOf(keyword));
  }

  /** The numbers of a table as they are written; null if they are bytes. */
  tableWords(keyword: string): readonly number[] | null {
    const element = this.element(keyword);
    if (element?.vr !== "US" && element?.vr !== "SS") return null;
    return this.exactNumbers(keyword);
  }

  private tolerated(keyword: string): string[] {
    return this.values(keyword).map((value) => (typeof value === "number" ? String(value) : value));
  }

  private raw(keyword: string): string[] {
    const element = this.element(keyword);
    return element ? latin1(element.value).replace(/\0+$/, "").split("\\") : [];
  }

  private values(keyword: string): (string | number)[] {
    const element = this.element(keyword);
    if (element === undefined || element.items !== null) return [];
    const vr = dictionaryVr(keyword);
    if (TEXT_VRS.has(vr)) return this.decoded(keyword, element.value, vr);
    if (FORMS[vr]) {
      const values = this.raw(keyword);
      if (!values.every((value) => FORMS[vr].test(value))) {
        this.caution("irregular_header", `${keyword} breaks the DICOM standard`);
      }
      return values;
    }
    const written = element.vr ?? (vr.startsWith("US or") ? this.ambiguous(keyword) : vr);
    const form = BINARY[written];
    if (form === undefined) {
      const values = this.raw(keyword);
      return values.length === 1 && values[0] === "" ? [] : values;
    }
    const [size, read] = form;
    const { value } = element;
    if (value.length % size) return ["damaged"];
    const view = new DataView(value.buffer, value.byteOffset, value.byteLength);
    return Array.from({ length: value.length / size }, (_, n) => read(view, n * size));
  }

  private ambiguous(keyword: string): string {
    if (keyword === "LUTData") return "OW";
    return (this.signed ?? this.isSigned()) ? "SS" : "US";
  }

  private isSigned(): boolean {
    const value = this.element("PixelRepresentation")?.value;
    return value !== undefined && value.length > 0 && value[0] === 1;
  }

  private decoded(keyword: string, value: Uint8Array, vr: string): string[] {
    let use: TextUse = vr === "PN" ? "name" : "words";
    if (IDENTIFIERS.has(keyword)) use = "identifier";
    let end = value.length;
    while (end > 0 && (value[end - 1] === 0x20 || value[end - 1] === 0)) end--;
    const found = decodeText(value.subarray(0, end), this.charset, use);
    if (found.unported) this.unported(keyword);
    if (!found.isSound) {
      this.caution(
        "text_undecoded",
        `the character set of ${keyword} is unknown; its bytes are kept as \\xNN`,
      );
    } else if (found.charset !== null) {
      const text = `${keyword} is not in the declared character set; it was read as`;
      this.caution("text_charset", `${text} ${found.charset}`);
    }
    const text = vr === "PN" ? found.text.replace(/=+$/, "") : found.text;
    return ONE_VALUE.has(vr) || !found.isSound ? [text] : text.split("\\");
  }

  /** A text that this device cannot read could say anything: the exam is never low. */
  private unported(keyword: string): void {
    this.doubt("text_not_read", `the text of ${keyword} cannot be read on this device`);
  }
}

export function stripped(text: string, letters = " \t\n\r\f\v"): string {
  let start = 0;
  let end = text.length;
  while (start < end && letters.includes(text[start])) start++;
  while (end > start && letters.includes(text[end - 1])) end--;
  return text.slice(start, end);
}

/** As Python's `float`, without underscores; null if it is not a number. */
function toNumber(text: string): number | null {
  const bare = stripped(text, " \t\n\r\f\v");
  if (/^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/.test(bare)) return Number(bare);
  if (/^[+-]?(?:inf|infinity|nan)$/i.test(bare)) return Number.NaN;
  return null;
}
