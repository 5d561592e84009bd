/**
 * How much of a file goes into one request: what the line carries in some seconds. Small pieces on a
 * weak line, as a proxy that waits for a whole piece loses it in a cut; large ones on a good line,
 * as each piece costs a round trip.
 */

/** Between these limits the size of a piece follows the line; it begins in the middle. */
export const LEAST_BYTES = 32 << 10;
export const FIRST_BYTES = 256 << 10;
export const MOST_BYTES = 8 << 20;
/** A piece is as large as the line carries in this time, and at most twice as large as the last. */
const AIM_MS = 8_000;
const GROWTH = 2;
/** A piece that takes so many times as long as expected is given up: the line is dead. */
const SLOWER = 8;
const LEAST_PATIENCE_MS = 30_000;
const MOST_PATIENCE_MS = 240_000;
const FIRST_PATIENCE_MS = 120_000;
/** The weight of the newest measurement: a line that changes is followed within a few pieces. */
const NEWEST = 0.5;

export interface Pace {
  /** Size of the next piece. */
  readonly bytes: number;
  /** How long one waits for a piece of this size. */
  readonly patienceMs: number;
  sent(bytes: number, ms: number): void;
  cut(): void;
}

export function makePace(): Pace {
  let bytes = FIRST_BYTES;
  /** Bytes in a millisecond; null: not measured yet. */
  let rate: number | null = null;
  return {
    get bytes() {
      return bytes;
    },
    get patienceMs() {
      if (rate === null) return FIRST_PATIENCE_MS;
      return between(LEAST_PATIENCE_MS, (SLOWER * bytes) / rate, MOST_PATIENCE_MS);
    },
    sent(count, ms) {
      // The end of a file measures the latency, not the line.
      if (count < Math.min(bytes, LEAST_BYTES)) return;
      const measured = count / Math.max(ms, 1);
      rate = rate === null ? measured : NEWEST * measured + (1 - NEWEST) * rate;
      const most = Math.min(GROWTH * bytes, MOST_BYTES);
      bytes = Math.round(between(LEAST_BYTES, rate * AIM_MS, most));
    },
    cut() {
      bytes = Math.max(bytes >> 1, LEAST_BYTES);
      if (rate !== null) rate /= 2;
    },
  };
}

const between = (least: number, value: number, most: number) =>
  Math.min(Math.max(value, least), most);
