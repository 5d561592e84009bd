/** Raw little-endian pixels → stored values, shifted to unsigned 16 bit. */

/** How the pixels of a frame lie in its bytes. */
export interface PixelForm {
  readonly rows: number;
  readonly columns: number;
  readonly bitsAllocated: 8 | 16;
  readonly bitsStored: number;
  readonly highBit: number;
  readonly signed: boolean;
}

/**
 * The pixels of a picture, row by row. The stored value of a pixel is `data[i] - bias`: signed
 * values are shifted up, so that averages and tables work on unsigned numbers.
 */
export interface Plane {
  readonly data: Uint16Array<ArrayBuffer>;
  readonly width: number;
  readonly height: number;
  readonly bias: number;
}

/** What is added to signed values. */
export const SIGNED_BIAS = 32768;

/**
 * Reads raw pixels. Bits outside the stored ones are dropped (PS3.5 8.1.1: they may hold overlays).
 *
 * @throws if there are fewer bytes than the form needs
 */
export function readRaw(bytes: Uint8Array, form: PixelForm): Plane {
  const count = form.rows * form.columns;
  const needed = count * (form.bitsAllocated / 8);
  if (bytes.length < needed) {
    throw new Error(`The frame has ${bytes.length} bytes where its pixels need ${needed}`);
  }
  const data = form.bitsAllocated === 8 ? widen(bytes, count) : words(bytes, count);
  const shift = form.highBit + 1 - form.bitsStored;
  if (form.signed) signExtend(data, form.bitsStored, shift);
  else if (form.bitsStored < form.bitsAllocated) mask(data, (1 << form.bitsStored) - 1, shift);
  return { data, width: form.columns, height: form.rows, bias: form.signed ? SIGNED_BIAS : 0 };
}

function widen(bytes: Uint8Array, count: number): Uint16Array<ArrayBuffer> {
  const data = new Uint16Array(count);
  data.set(bytes.subarray(0, count));
  return data;
}

/** All platforms with browsers are little-endian; bytes are copied only where they lie unaligned. */
function words(bytes: Uint8Array, count: number): Uint16Array<ArrayBuffer> {
  const own = bytes.byteOffset % 2 === 0 && bytes.buffer instanceof ArrayBuffer;
  if (own) return new Uint16Array(bytes.buffer as ArrayBuffer, bytes.byteOffset, count);
  return new Uint16Array(bytes.slice(0, 2 * count).buffer, 0, count);
}

function mask(data: Uint16Array, bits: number, shift: number): void {
  for (let i = 0; i < data.length; i++) data[i] = (data[i] >> shift) & bits;
}

function signExtend(data: Uint16Array, bitsStored: number, shift: number): void {
  const left = 32 - bitsStored - shift;
  const right = 32 - bitsStored;
  for (let i = 0; i < data.length; i++) data[i] = ((data[i] << left) >> right) + SIGNED_BIAS;
}
