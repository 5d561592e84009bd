/** Linear filters with the results of OpenCV; borders are mirrored without their last pixel. */

/** A picture of numbers. */
export interface Field {
  readonly data: Float32Array;
  readonly h: number;
  readonly w: number;
}

export function field(data: ArrayLike<number>, h: number, w: number): Field {
  return { data: Float32Array.from(data), h, w };
}

/** Mirrors an index at the borders: BORDER_REFLECT_101. */
function mirror(at: number, size: number): number {
  if (size === 1) return 0;
  let i = at;
  while (i < 0 || i >= size) i = i < 0 ? -i : 2 * size - 2 - i;
  return i;
}

function places(size: number, radius: number): Int32Array {
  return Int32Array.from({ length: size + 2 * radius }, (_, i) => mirror(i - radius, size));
}

/** Applies a kernel along rows and another along columns, in double precision. */
export function separable(
  { data, h, w }: Field,
  across: readonly number[],
  down: readonly number[],
): Field {
  const rx = across.length >> 1;
  const ry = down.length >> 1;
  const xs = places(w, rx);
  const ys = places(h, ry);
  const rows = new Float64Array(h * w);
  for (let y = 0; y < h; y++) {
    for (let x = 0; x < w; x++) {
      let sum = 0;
      for (let k = 0; k < across.length; k++) sum += across[k] * data[y * w + xs[x + k]];
      rows[y * w + x] = sum;
    }
  }
  const out = new Float32Array(h * w);
  for (let y = 0; y < h; y++) {
    for (let x = 0; x < w; x++) {
      let sum = 0;
      for (let k = 0; k < down.length; k++) sum += down[k] * rows[ys[y + k] * w + x];
      out[y * w + x] = sum;
    }
  }
  return { data: out, h, w };
}

/** Mean of size × size pixels. */
export function blur(picture: Field, size: number): Field {
  const ones = Array.from({ length: size }, () => 1);
  const sums = separable(picture, ones, ones);
  return { ...sums, data: sums.data.map((v) => v / (size * size)) };
}

/** OpenCV's 5 × 5 Gaussian of sigma 1 on bytes, in its fixed-point numbers. */
export function gaussianBytes(picture: Field): Field {
  const kernel = [14, 62, 104, 62, 14];
  const sums = separable(picture, kernel, kernel);
  return { ...sums, data: sums.data.map((v) => Math.floor((v + 32768) / 65536)) };
}

export function sobelAcross(picture: Field): Field {
  return separable(picture, [-1, 0, 1], [1, 2, 1]);
}

export function sobelDown(picture: Field): Field {
  return separable(picture, [1, 2, 1], [-1, 0, 1]);
}

const PYRAMID = [1, 4, 6, 4, 1];

/** Half as large, after a Gaussian. */
export function pyramidDown(picture: Field): Field {
  const smooth = separable(picture, PYRAMID, PYRAMID);
  const [h, w] = [(picture.h + 1) >> 1, (picture.w + 1) >> 1];
  const data = new Float32Array(h * w);
  for (let y = 0; y < h; y++) {
    for (let x = 0; x < w; x++) data[y * w + x] = smooth.data[2 * y * picture.w + 2 * x] / 256;
  }
  return { data, h, w };
}

/** Twice as large, of a given size. */
export function pyramidUp({ data, h, w }: Field, height: number, width: number): Field {
  const rows = new Float64Array(h * width);
  for (let y = 0; y < h; y++) {
    const line = data.subarray(y * w, (y + 1) * w);
    for (let x = 0; x < width; x++) rows[y * width + x] = risen(line, x, w);
  }
  const out = new Float32Array(height * width);
  const column = new Float64Array(h);
  for (let x = 0; x < width; x++) {
    for (let y = 0; y < h; y++) column[y] = rows[y * width + x];
    for (let y = 0; y < height; y++) out[y * width + x] = risen(column, y, h) / 64;
  }
  return { data: out, h: height, w: width };
}

/** Eight times the value at `at` of a line that is doubled. */
function risen(line: Float32Array | Float64Array, at: number, size: number): number {
  const i = at >> 1;
  const next = Math.min(i + 1, size - 1);
  if (at % 2) return 4 * (line[Math.min(i, size - 1)] + line[next]);
  const here = Math.min(i, size - 1);
  const before = size === 1 ? 0 : here === 0 ? 1 : here - 1;
  return line[before] + 6 * line[here] + line[next];
}

/** Distance to the nearest zero, by OpenCV's 3 × 3 chamfer in its fixed-point numbers. */
export function distances(mask: Uint8Array, h: number, w: number): Float32Array {
  const [straight, slanted] = [62587, 89738];
  const far = 2 ** 30;
  const wide = w + 2;
  const d = new Float64Array((h + 2) * wide).fill(far);
  const at = (y: number, x: number) => (y + 1) * wide + x + 1;
  for (let y = 0; y < h; y++) {
    for (let x = 0; x < w; x++) {
      const i = at(y, x);
      d[i] = mask[y * w + x]
        ? Math.min(
            d[i - wide - 1] + slanted,
            d[i - wide] + straight,
            d[i - wide + 1] + slanted,
            d[i - 1] + straight,
          )
        : 0;
    }
  }
  const out = new Float32Array(h * w);
  for (let y = h - 1; y >= 0; y--) {
    for (let x = w - 1; x >= 0; x--) {
      const i = at(y, x);
      d[i] = Math.min(
        d[i],
        d[i + wide + 1] + slanted,
        d[i + wide] + straight,
        d[i + wide - 1] + slanted,
        d[i + 1] + straight,
      );
      out[y * w + x] = d[i] / 65536;
    }
  }
  return out;
}

/** Mean and standard deviation of the values where the mask is true. */
export function spreadOf(data: ArrayLike<number>, mask: Uint8Array): number {
  let [sum, squares, n] = [0, 0, 0];
  for (let i = 0; i < mask.length; i++) {
    if (!mask[i]) continue;
    sum += data[i];
    squares += data[i] * data[i];
    n++;
  }
  if (n === 0) return 0;
  return Math.sqrt(Math.max(squares / n - (sum / n) ** 2, 0));
}
