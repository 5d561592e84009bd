/** Rounding and printing as Python and NumPy do it. */

/** Rounds half to even, as Python's `round` and NumPy's `rint`. */
export function rint(x: number): number {
  const floor = Math.floor(x);
  const part = x - floor;
  if (part < 0.5) return floor;
  if (part > 0.5) return floor + 1;
  return floor % 2 === 0 ? floor : floor + 1;
}

/** `f"{x:g}"`: six significant digits without trailing zeros. */
export function general(x: number): string {
  if (!Number.isFinite(x)) return x > 0 ? "inf" : x < 0 ? "-inf" : "nan";
  return significant(x, 6);
}

/** `f"{x:.2g}"` and the like. */
export function significant(x: number, digits: number): string {
  if (x === 0) return Object.is(x, -0) ? "-0" : "0";
  const exponent = Number(x.toExponential(digits - 1).split("e")[1]);
  if (exponent < -4 || exponent >= digits) {
    const [mantissa, power] = x.toExponential(digits - 1).split("e");
    const bare = mantissa.includes(".") ? mantissa.replace(/\.?0+$/, "") : mantissa;
    const size = Math.abs(Number(power)).toString().padStart(2, "0");
    return `${bare}e${Number(power) < 0 ? "-" : "+"}${size}`;
  }
  const fixed = x.toFixed(Math.max(0, digits - 1 - exponent));
  return fixed.includes(".") ? fixed.replace(/\.?0+$/, "") : fixed;
}

/** `str(x)` of a float: an integer has `.0`. */
export function floatText(x: number): string {
  return Number.isInteger(x) ? `${x}.0` : `${x}`;
}

/** `f"{n:,}"` */
export function grouped(n: number): string {
  return n.toString().replace(/\B(?=(\d{3})+(?!\d))/g, ",");
}

/** Smallest and largest value. */
export function extent(values: ArrayLike<number>): [low: number, high: number] {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < values.length; i++) {
    const value = values[i];
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return [low, high];
}

/** Percentiles (0–100) by linear interpolation, as `numpy.percentile` of float32 (in float64). */
export function percentiles(values: Float32Array, shares: readonly number[]): number[] {
  const sorted = values.slice().sort();
  return shares.map((share) => {
    const place = (share / 100) * (sorted.length - 1);
    const below = Math.floor(place);
    const part = place - below;
    const low = sorted[below];
    const high = sorted[Math.min(below + 1, sorted.length - 1)];
    const step = Math.fround(high - low);
    return part >= 0.5 ? high - step * (1 - part) : low + step * part;
  });
}
