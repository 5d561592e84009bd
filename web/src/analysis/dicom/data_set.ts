/**
 * A small reader of DICOM headers: the attributes that the analysis needs, within limits.
 *
 * Elements begin and end where `mammolens.images.dicom.walk` finds them. What is beyond a limit, or
 * in a form that this reader does not know, is refused.
 */

import { grouped } from "../numbers";
import { Refusal } from "../types";
import { isSequence, isSpecial, keywordOf, LONG_TEXTS, READ, TABLES, uidName } from "./dictionary";
import { BIG_ENDIAN, DEFLATED, IMPLICIT, isExplicit, realSyntax } from "./encoding";

export interface Element {
  readonly tag: number;
  /** As written; null in implicit VR. */
  readonly vr: string | null;
  readonly value: Uint8Array;
  readonly items: readonly DataSet[] | null;
}

export interface DataSet {
  readonly elements: ReadonlyMap<number, Element>;
}

export interface Parsed {
  readonly dataSet: DataSet;
  readonly declared: string | null;
  readonly syntax: string;
  readonly hasPreamble: boolean;
  readonly mediaClass: string | null;
  /** Position of the first pixel data element; the end of the file if there is none. */
  readonly pixelsAt: number;
  readonly excess: Refusal | null;
}

const UNDEFINED = 0xffffffff;
const MAX_STEPS = 200_000;
const MAX_DEPTH = 64;
const MAX_VALUE_BYTES = 4 << 10;
const MAX_TEXT_BYTES = 16 << 10;
const MAX_KEPT_BYTES = 128 << 10;
const MAX_KEPT = 1024;
const MAX_SEQUENCE_BYTES = 256 << 10;
const MAX_INNER_STEPS = 10_000;
const MAX_LUT_BYTES = 4 << 20;
const MAX_TABLE_BYTES = 1 << 18;
const LUT_DATA = 0x00283006;
const LONG_VRS = new Set("OB OD OF OL OV OW SQ SV UC UN UR UT UV".split(" "));
const VRS = new Set(
  "AE AS AT CS DA DS DT FL FD IS LO LT PN SH SL SS ST TM UI UL US".split(" ").concat(...LONG_VRS),
);
const PIXELS = new Set([0x7fe00008, 0x7fe00009, 0x7fe00010]);
const SEQUENCE_END = 0xfffee0dd;
const ITEM_END = 0xfffee00d;

/** Whether a file with these first bytes is DICOM, or may be DICOM without a preamble. */
export function looksLikeDicom(head: Uint8Array): boolean {
  if (hasPreamble(head)) return true;
  const [a, b] = head;
  return (
    head.length >= 132 && ((a === 2 && b === 0) || (a === 8 && b === 0) || (a === 0 && b === 8))
  );
}

function hasPreamble(bytes: Uint8Array): boolean {
  return bytes[128] === 68 && bytes[129] === 73 && bytes[130] === 67 && bytes[131] === 77;
}

/**
 * Reads the header up to the pixel data.
 *
 * @throws Refusal if it ends within a sequence, or is deflated or big endian (not ported)
 */
export function parse(bytes: Uint8Array, source: string): Parsed {
  const preamble = hasPreamble(bytes);
  const meta = new Reader(bytes, preamble ? 132 : 0, false, source);
  const texts = meta.group(2);
  const declared = texts.get(0x00020010) || null;
  const commands = new Reader(bytes, meta.at, true, source);
  if (declared !== DEFLATED) commands.group(0);
  const start = declared === DEFLATED ? meta.at : commands.at;
  const syntax = realSyntax(bytes.subarray(start, start + 512), declared);
  if (syntax === DEFLATED || syntax === BIG_ENDIAN) {
    throw new Refusal("UnsupportedImage", `${uidName(syntax)} is not read on this device`, {
      source,
      keyword: "TransferSyntaxUID",
      remedy: "Send the file to the server, or convert it to Explicit VR Little Endian",
    });
  }
  const implicit =
    bytes.length - start < 6 ? syntax === IMPLICIT : !isExplicit(bytes, start, bytes.length);
  const reader = new Reader(bytes, start, implicit, source);
  const dataSet = reader.top();
  return {
    dataSet,
    declared,
    syntax,
    hasPreamble: preamble,
    mediaClass: texts.get(0x00020002) || null,
    pixelsAt: reader.pixelsAt,
    excess: reader.excess,
  };
}

class Stop extends Error {}

interface Head {
  readonly tag: number;
  readonly vr: string | null;
  readonly length: number;
}

class Reader {
  excess: Refusal | null = null;
  pixelsAt: number;
  at: number;
  private readonly view: DataView;
  private steps = 0;
  private innerSteps = 0;
  private keptBytes = 0;
  private current = 0;

  constructor(
    private readonly bytes: Uint8Array,
    start: number,
    private readonly implicit: boolean,
    private readonly source: string,
  ) {
    this.at = start;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.pixelsAt = bytes.length;
  }

  /** Texts of the elements of one group, and moves after them. */
  group(number: number): Map<number, string> {
    const found = new Map<number, string>();
    for (;;) {
      const start = this.at;
      const head = this.next(this.implicit, this.bytes.length);
      if (head === null || head.tag >>> 16 !== number) {
        this.at = start;
        return found;
      }
      if (head.length === UNDEFINED) throw this.refused("a value of undefined length", head.tag);
      if (head.length <= 128) {
        const raw = this.bytes.subarray(this.at, this.at + head.length);
        found.set(head.tag, latin1(raw).replace(/^[ \0]+|[ \0]+$/g, ""));
      }
      this.at += head.length;
    }
  }

  /** The wanted elements up to the pixel data. */
  top(): DataSet {
    const elements = new Map<number, Element>();
    let kept = 0;
    try {
      for (;;) {
        const start = this.at;
        const head = this.next(this.implicit, this.bytes.length);
        if (head === null || head.tag === ITEM_END) break;
        if (PIXELS.has(head.tag)) {
          this.pixelsAt = start;
          break;
        }
        this.current = head.tag;
        if (!READ.has(head.tag) && !isSpecial(head.tag)) {
          this.pass(head);
          continue;
        }
        if (++kept > MAX_KEPT) {
          this.note(`the header repeats elements: more than ${grouped(MAX_KEPT)} would be read`);
          break;
        }
        const element = this.keep(head);
        if (element !== null) elements.set(head.tag, element);
      }
    } catch (error) {
      if (!(error instanceof Stop)) throw error;
    }
    return { elements };
  }

  private keep(head: Head): Element | null {
    const { tag, vr, length } = head;
    const isOverlay = (tag & 0xff01ffff) >>> 0 === 0x60003000;
    if (isOverlay && length !== UNDEFINED) {
      this.at += length;
      return { tag, vr, value: new Uint8Array(0), items: null };
    }
    const holdsItems = vr === "SQ" || isSequence(tag);
    if (length === UNDEFINED || holdsItems) {
      const start = this.at;
      const most = TABLES.has(tag) ? MAX_LUT_BYTES : MAX_SEQUENCE_BYTES;
      if (length !== UNDEFINED && length > most) {
        this.note(`a sequence of ${grouped(length)} bytes is longer than the limit`, tag);
        this.at += length;
        return null;
      }
      const end = length === UNDEFINED ? null : Math.min(start + length, this.bytes.length);
      const items = this.items(this.implicit, 1, end, true);
      if (end !== null) this.at = start + length;
      else if (this.at - start > most) {
        this.note("a sequence is longer than the limit", tag);
        return null;
      }
      return { tag, vr, value: new Uint8Array(0), items };
    }
    const most = LONG_TEXTS.has(tag) ? MAX_TEXT_BYTES : MAX_VALUE_BYTES;
    if (length > most || this.keptBytes + length > MAX_KEPT_BYTES) {
      this.note(`a value of ${grouped(length)} bytes is longer than the limit`, tag);
      this.at += length;
      return null;
    }
    this.keptBytes += length;
    const value = this.bytes.subarray(this.at, this.at + length);
    this.at += length;
    return { tag, vr, value, items: null };
  }

  private pass(head: Head): void {
    if (head.length !== UNDEFINED) this.at += head.length;
    else this.items(this.implicit, 1, null, false);
  }

  /** Items of a sequence; empty if they are not kept. */
  private items(implicit: boolean, depth: number, end: number | null, kept: boolean): DataSet[] {
    if (depth > MAX_DEPTH) {
      this.note(`sequences are nested more than ${MAX_DEPTH} levels deep`);
      throw new Stop();
    }
    const found: DataSet[] = [];
    while (end === null || this.at < end) {
      if (this.at + 8 > this.bytes.length) {
        if (end !== null) return found;
        throw this.cut();
      }
      this.step(kept);
      const tag = this.tagAt(this.at);
      const length = this.view.getUint32(this.at + 4, true);
      this.at += 8;
      if (tag === SEQUENCE_END) return found;
      if (tag !== 0xfffee000) {
        this.note("a value of undefined length has no items");
        throw new Stop();
      }
      const stop = length === UNDEFINED ? null : this.at + length;
      const item = this.item(implicit, depth, stop, kept);
      if (stop !== null) this.at = stop;
      if (kept) found.push(item);
    }
    return found;
  }

  private item(implicit: boolean, depth: number, end: number | null, kept: boolean): DataSet {
    const elements = new Map<number, Element>();
    const limit = Math.min(end ?? this.bytes.length, this.bytes.length);
    const isImplicit =
      implicit || (this.at < limit && !isExplicit(this.bytes, this.at, this.bytes.length));
    while (this.at < limit) {
      const head = this.next(isImplicit, limit);
      if (head === null || head.tag === ITEM_END) break;
      this.step(kept);
      const { tag, vr, length } = head;
      if (length === UNDEFINED) {
        const items = this.items(isImplicit, depth + 1, null, kept);
        elements.set(tag, { tag, vr, value: new Uint8Array(0), items });
      } else if (vr === "SQ" || ((vr === null || vr === "UN") && isSequence(tag))) {
        const stop = this.at + length;
        const items = kept ? this.items(isImplicit, depth + 1, Math.min(stop, limit), kept) : [];
        this.at = stop;
        elements.set(tag, { tag, vr, value: new Uint8Array(0), items });
      } else {
        const most = tag === LUT_DATA ? MAX_TABLE_BYTES : MAX_VALUE_BYTES;
        if (kept && length > most) {
          this.note(`a value of ${grouped(length)} bytes is longer than the limit`, tag);
        }
        const value = this.bytes.subarray(this.at, Math.min(this.at + length, limit));
        if (kept) elements.set(tag, { tag, vr, value, items: null });
        this.at += length;
      }
    }
    return { elements };
  }

  private next(implicit: boolean, limit: number): Head | null {
    if (this.at + 8 > limit) return null;
    if (++this.steps > MAX_STEPS) {
      this.note(`the header has more than ${grouped(MAX_STEPS)} elements and items`);
      throw new Stop();
    }
    const tag = this.tagAt(this.at);
    if (!implicit) {
      const vr = String.fromCharCode(this.bytes[this.at + 4], this.bytes[this.at + 5]);
      if (LONG_VRS.has(vr)) {
        if (this.at + 12 > limit) return null;
        const length = this.view.getUint32(this.at + 8, true);
        this.at += 12;
        return { tag, vr, length };
      }
      if (VRS.has(vr) || /^[A-Z]{2}$/.test(vr)) {
        const length = this.view.getUint16(this.at + 6, true);
        this.at += 8;
        return { tag, vr, length };
      }
    }
    const length = this.view.getUint32(this.at + 4, true);
    this.at += 8;
    return { tag, vr: null, length };
  }

  private tagAt(at: number): number {
    return this.view.getUint16(at, true) * 0x10000 + this.view.getUint16(at + 2, true);
  }

  private step(kept: boolean): void {
    if (++this.steps > MAX_STEPS || (kept && ++this.innerSteps > MAX_INNER_STEPS)) {
      this.note(`sequences have more than ${grouped(MAX_INNER_STEPS)} elements and items`);
      throw new Stop();
    }
  }

  private note(what: string, tag = this.current): void {
    this.excess ??= this.refused(what, tag);
  }

  private refused(what: string, tag: number): Refusal {
    return new Refusal("UnsupportedImage", what, {
      source: this.source,
      keyword: keywordOf(tag),
      remedy: "Export the object again without it, or send single 2D images",
    });
  }

  private cut(): Refusal {
    return new Refusal("NotAnImage", "the DICOM header ends within a sequence", {
      source: this.source,
      keyword: keywordOf(this.current),
      remedy: "Send or export the object again",
    });
  }
}

export function latin1(raw: Uint8Array): string {
  let text = "";
  for (const byte of raw) text += String.fromCharCode(byte);
  return text;
}
