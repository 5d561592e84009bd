/** Operations on small pictures, with the results of OpenCV. */

import { rint } from "../numbers";

export type Bytes = Uint8Array;

/** Columns of each row of a structuring element, relative to its centre: [first, last]. */
export type Spans = readonly (readonly [number, number])[];

/** Median of 3 × 3 pixels; the border is repeated. */
export function median3(picture: Bytes, h: number, w: number): Bytes {
  const out = new Uint8Array(picture.length);
  const nine = new Uint8Array(9);
  for (let y = 0; y < h; y++) {
    const rows = [Math.max(y - 1, 0) * w, y * w, Math.min(y + 1, h - 1) * w];
    for (let x = 0; x < w; x++) {
      const left = Math.max(x - 1, 0);
      const right = Math.min(x + 1, w - 1);
      let n = 0;
      for (const row of rows) {
        nine[n++] = picture[row + left];
        nine[n++] = picture[row + x];
        nine[n++] = picture[row + right];
      }
      // Insertion sort of nine numbers is faster than a call.
      for (let i = 1; i < 9; i++) {
        const value = nine[i];
        let j = i - 1;
        for (; j >= 0 && nine[j] > value; j--) nine[j + 1] = nine[j];
        nine[j + 1] = value;
      }
      out[y * w + x] = nine[4];
    }
  }
  return out;
}

/** Otsu's level (0–255) of a histogram. */
export function otsu(counts: ArrayLike<number>, total: number): number {
  let mean = 0;
  for (let i = 0; i < 256; i++) mean += (i * counts[i]) / total;
  let [q1, mean1, best, level] = [0, 0, 0, 0];
  for (let i = 0; i < 256; i++) {
    const share = counts[i] / total;
    mean1 *= q1;
    q1 += share;
    const q2 = 1 - q1;
    if (Math.min(q1, q2) < 1.1920929e-7 || Math.max(q1, q2) > 1 - 1.1920929e-7) continue;
    mean1 = (mean1 + i * share) / q1;
    const mean2 = (mean - q1 * mean1) / q2;
    const between = q1 * q2 * (mean1 - mean2) ** 2;
    if (between > best) [best, level] = [between, i];
  }
  return level;
}

/** `cv2.getStructuringElement(MORPH_ELLIPSE)` of 2 r + 1 pixels. */
export function ellipse(r: number): Spans {
  const size = 2 * r + 1;
  const inverse = r ? 1 / (r * r) : 0;
  return Array.from({ length: size }, (_, i) => {
    const dy = i - r;
    const dx = rint(r * Math.sqrt((r * r - dy * dy) * inverse));
    return [Math.max(r - dx, 0) - r, Math.min(r + dx + 1, size) - 1 - r] as const;
  });
}

export function square(size: number): Spans {
  const r = size >> 1;
  return Array.from({ length: size }, () => [-r, r] as const);
}

/** Grows a mask; the outside of the picture has no pixels. */
export function dilate(mask: Bytes, h: number, w: number, spans: Spans): Bytes {
  return morph(mask, h, w, spans, true);
}

/** Shrinks a mask, but not at the edges of the picture. */
export function erode(mask: Bytes, h: number, w: number, spans: Spans): Bytes {
  return morph(mask, h, w, spans, false);
}

function morph(mask: Bytes, h: number, w: number, spans: Spans, grows: boolean): Bytes {
  const r = spans.length >> 1;
  const out = new Uint8Array(mask.length);
  if (!grows) out.fill(1);
  const sums = new Int32Array(w + 1);
  for (let y = 0; y < h; y++) {
    for (let x = 0; x < w; x++) sums[x + 1] = sums[x] + mask[y * w + x];
    if (grows && sums[w] === 0) continue;
    if (!grows && sums[w] === w) continue;
    for (let k = 0; k < spans.length; k++) {
      const to = y + (k - r);
      if (to < 0 || to >= h) continue;
      const [a, b] = spans[k];
      for (let x = 0; x < w; x++) {
        const first = Math.max(0, x + a);
        const last = Math.min(w - 1, x + b);
        if (last < first) continue;
        const sum = sums[last + 1] - sums[first];
        if (grows) {
          if (sum > 0) out[to * w + x] = 1;
        } else if (sum <= last - first) out[to * w + x] = 0;
      }
    }
  }
  return out;
}

export interface Parts {
  /** 0 where the picture has another value, else the number of the part from 1. */
  readonly labels: Int32Array;
  /** Pixels of each part; [0] is unused. */
  readonly areas: number[];
  /** Whether the part touches the edge of the picture. */
  readonly atEdge: boolean[];
}

/** Connected parts of the pixels that have the value `wanted`. */
export function partsOf(
  picture: Bytes,
  h: number,
  w: number,
  wanted: number,
  connectivity: 4 | 8 = 4,
): Parts {
  const labels = new Int32Array(picture.length);
  const stack = new Int32Array(picture.length);
  const areas = [0];
  const atEdge = [false];
  let top = 0;
  let n = 0;
  const push = (at: number) => {
    if (picture[at] === wanted && labels[at] === 0) {
      labels[at] = n;
      stack[top++] = at;
    }
  };
  for (let seed = 0; seed < picture.length; seed++) {
    if (picture[seed] !== wanted || labels[seed]) continue;
    n++;
    let area = 0;
    let edge = false;
    push(seed);
    while (top) {
      const at = stack[--top];
      area++;
      const y = (at / w) | 0;
      const x = at - y * w;
      const [up, down, left, right] = [y > 0, y < h - 1, x > 0, x < w - 1];
      if (!(up && down && left && right)) edge = true;
      if (left) push(at - 1);
      if (right) push(at + 1);
      if (up) push(at - w);
      if (down) push(at + w);
      if (connectivity === 4) continue;
      if (up && left) push(at - w - 1);
      if (up && right) push(at - w + 1);
      if (down && left) push(at + w - 1);
      if (down && right) push(at + w + 1);
    }
    areas.push(area);
    atEdge.push(edge);
  }
  return { labels, areas, atEdge };
}

/** Bounding box of the true pixels, half-open; null if there are none. */
export function boundsOf(
  mask: Bytes,
  h: number,
  w: number,
): readonly [row0: number, col0: number, row1: number, col1: number] | null {
  let [r0, c0, r1, c1] = [h, w, 0, 0];
  for (let y = 0; y < h; y++) {
    for (let x = 0; x < w; x++) {
      if (!mask[y * w + x]) continue;
      if (y < r0) r0 = y;
      if (y >= r1) r1 = y + 1;
      if (x < c0) c0 = x;
      if (x >= c1) c1 = x + 1;
    }
  }
  return r1 > r0 ? [r0, c0, r1, c1] : null;
}

/** The part of a picture within a box. */
export function cut<T extends Uint8Array | Float32Array>(
  picture: T,
  w: number,
  [r0, c0, r1, c1]: readonly [number, number, number, number],
): T {
  const width = c1 - c0;
  const out = new (picture.constructor as new (n: number) => T)((r1 - r0) * width);
  for (let y = r0; y < r1; y++) {
    out.set(picture.subarray(y * w + c0, y * w + c1), (y - r0) * width);
  }
  return out;
}

/** Mirrors left and right. */
export function mirrored<T extends Uint8Array | Float32Array>(picture: T, w: number): T {
  const out = picture.slice() as T;
  for (let at = 0; at < out.length; at += w) out.subarray(at, at + w).reverse();
  return out;
}
