/**
 * Where things lie in a DICOM file, and the same file with another encapsulated frame.
 *
 * Reading here is strict, as what is found is written again: Explicit VR Little Endian with a
 * preamble, elements in ascending order, nothing cut off. Any other file has no layout, and is sent
 * as it is. Source: DICOM PS3.10 section 7.1, PS3.5 sections 7.1.2, 7.5 and A.4.
 */

/** Of one value at the top of a data set: `begin` to `end` is the element, from `value` its value. */
export interface Place {
  readonly tag: number;
  readonly vr: string;
  readonly begin: number;
  readonly value: number;
  readonly end: number;
  readonly isOpenEnded: boolean;
}

export interface Layout {
  readonly syntax: string;
  /** Elements of the file meta information, without its length. */
  readonly meta: readonly Place[];
  /** Where the data set begins. */
  readonly dataSet: number;
  readonly elements: ReadonlyMap<number, Place>;
  readonly pixels: Place;
}

export const PIXEL_DATA = 0x7fe00010;
const META_LENGTH = 0x00020000;
const SYNTAX = 0x00020010;
const ITEM = 0xfffee000;
const ITEM_END = 0xfffee00d;
const SEQUENCE_END = 0xfffee0dd;
const UNDEFINED = 0xffffffff;
const MAX_DEPTH = 16;
const MAX_ELEMENTS = 50_000;
const LONG = new Set("OB OD OF OL OV OW SQ SV UC UN UR UT UV".split(" "));
const SHORT = new Set("AE AS AT CS DA DS DT FL FD IS LO LT PN SH SL SS ST TM UI UL US".split(" "));

class Odd extends Error {}

/** The layout of a file; null if anything in it is not as the standard writes it. */
export function layoutOf(bytes: Uint8Array): Layout | null {
  try {
    return new Walker(bytes).file();
  } catch (error) {
    if (error instanceof Odd || error instanceof RangeError) return null;
    throw error;
  }
}

/** The fragments of an encapsulated frame, joined; null if they are not well formed. */
export function frameOf(bytes: Uint8Array, pixels: Place): Uint8Array | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const parts: Uint8Array[] = [];
  let at = pixels.value;
  for (let n = 0; tagAt(view, at) === ITEM; n += 1) {
    const length = view.getUint32(at + 4, true);
    if (at + 8 + length > pixels.end) return null;
    // The first item is the offset table.
    if (n > 0) parts.push(bytes.subarray(at + 8, at + 8 + length));
    at += 8 + length;
  }
  if (parts.length === 1) return parts[0];
  return parts.length === 0 ? null : joined(parts);
}

/**
 * The file with another transfer syntax and its frame replaced; all else is copied byte for byte.
 * The meta information gets its length and the syntax, and keeps its other elements.
 */
export function withFrame(
  bytes: Uint8Array,
  layout: Layout,
  syntax: string,
  frame: Uint8Array,
): Uint8Array<ArrayBuffer> {
  const uid = new TextEncoder().encode(syntax.length % 2 ? `${syntax}\0` : syntax);
  const meta = layout.meta.map(({ tag, begin, end }) =>
    tag === SYNTAX ? joined([short(SYNTAX, "UI", uid.length), uid]) : bytes.subarray(begin, end),
  );
  const length = meta.reduce((sum, part) => sum + part.length, 0);
  const { pixels } = layout;
  const padding = new Uint8Array(frame.length % 2);
  return joined([
    bytes.subarray(0, 132),
    short(META_LENGTH, "UL", 4),
    word(length),
    ...meta,
    bytes.subarray(layout.dataSet, pixels.begin),
    short(PIXEL_DATA, "OB", 0),
    word(UNDEFINED),
    // An empty offset table: there is one frame.
    mark(ITEM, 0),
    mark(ITEM, frame.length + padding.length),
    frame,
    padding,
    mark(SEQUENCE_END, 0),
    bytes.subarray(pixels.end),
  ]);
}

class Walker {
  private readonly view: DataView;
  private at = 0;
  private count = 0;

  constructor(private readonly bytes: Uint8Array) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  file(): Layout {
    const { bytes } = this;
    if (String.fromCharCode(...bytes.subarray(128, 132)) !== "DICM") throw new Odd();
    this.at = 132;
    const meta: Place[] = [];
    while (this.view.getUint16(this.at, true) === 2) meta.push(this.element(0));
    const dataSet = this.at;
    const named = meta.find(({ tag }) => tag === SYNTAX);
    if (named === undefined) throw new Odd();
    const syntax = this.text(named);
    const elements = new Map<number, Place>();
    let last = 0;
    while (this.at < bytes.length) {
      const place = this.element(0);
      if (place.tag <= last) throw new Odd();
      last = place.tag;
      elements.set(place.tag, place);
    }
    const pixels = elements.get(PIXEL_DATA);
    if (pixels === undefined) throw new Odd();
    return {
      syntax,
      meta: meta.filter(({ tag }) => tag !== META_LENGTH),
      dataSet,
      elements,
      pixels,
    };
  }

  private element(depth: number): Place {
    this.count += 1;
    if (this.count > MAX_ELEMENTS) throw new Odd();
    const { view, at: begin } = this;
    const tag = tagAt(view, begin);
    const vr = String.fromCharCode(view.getUint8(begin + 4), view.getUint8(begin + 5));
    if (!LONG.has(vr) && !SHORT.has(vr)) throw new Odd();
    const value = begin + (LONG.has(vr) ? 12 : 8);
    const length = LONG.has(vr) ? view.getUint32(begin + 8, true) : view.getUint16(begin + 6, true);
    this.at = value;
    const isOpenEnded = length === UNDEFINED;
    if (!isOpenEnded) this.at += length;
    else if (tag === PIXEL_DATA && (vr === "OB" || vr === "OW")) this.fragments();
    else if (vr === "SQ") this.items(depth + 1);
    else throw new Odd();
    if (this.at > this.bytes.length) throw new Odd();
    return { tag, vr, begin, value, end: this.at, isOpenEnded };
  }

  private fragments(): void {
    for (;;) {
      const [tag, length] = this.head();
      if (tag === SEQUENCE_END && length === 0) return;
      if (tag !== ITEM || length === UNDEFINED) throw new Odd();
      this.at += length;
    }
  }

  private items(depth: number): void {
    if (depth > MAX_DEPTH) throw new Odd();
    for (;;) {
      const [tag, length] = this.head();
      if (tag === SEQUENCE_END && length === 0) return;
      if (tag !== ITEM) throw new Odd();
      if (length !== UNDEFINED) {
        this.at += length;
        continue;
      }
      while (tagAt(this.view, this.at) !== ITEM_END) this.element(depth);
      this.head();
    }
  }

  private head(): readonly [tag: number, length: number] {
    const tag = tagAt(this.view, this.at);
    const length = this.view.getUint32(this.at + 4, true);
    this.at += 8;
    return [tag, length];
  }

  private text({ value, end }: Place): string {
    return String.fromCharCode(...this.bytes.subarray(value, end)).replace(/[\0 ]+$/, "");
  }
}

const tagAt = (view: DataView, at: number) =>
  view.getUint16(at, true) * 0x10000 + view.getUint16(at + 2, true);

/** Head of an element: 8 bytes; of a long form the length follows. */
function short(tag: number, vr: string, length: number): Uint8Array {
  const head = new Uint8Array(8);
  const view = new DataView(head.buffer);
  view.setUint16(0, tag >>> 16, true);
  view.setUint16(2, tag & 0xffff, true);
  head.set([vr.charCodeAt(0), vr.charCodeAt(1)], 4);
  view.setUint16(6, length, true);
  return head;
}

function word(value: number): Uint8Array {
  const out = new Uint8Array(4);
  new DataView(out.buffer).setUint32(0, value, true);
  return out;
}

function mark(tag: number, length: number): Uint8Array {
  const out = new Uint8Array(8);
  const view = new DataView(out.buffer);
  view.setUint16(0, tag >>> 16, true);
  view.setUint16(2, tag & 0xffff, true);
  view.setUint32(4, length, true);
  return out;
}

function joined(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}
