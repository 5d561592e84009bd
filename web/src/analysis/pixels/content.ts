/** Limits on size and content of a picture, and grey pictures in several channels. */

import { extent, grouped } from "../numbers";
import { type Plane, Refusal } from "../types";

const MAX_SIDE_PX = 20_000;
const MAX_PIXELS = 150_000_000;
const MIN_SIDE_PX = 64;

export function sizeRefusal(rows: number, cols: number, source: string): Refusal | null {
  if (Math.min(rows, cols) < MIN_SIDE_PX) {
    return new Refusal("NotAMammogram", `${rows} x ${cols} pixels are not a mammogram`, {
      source,
      remedy: `Send the original image, at least ${MIN_SIDE_PX} pixels a side`,
    });
  }
  if (Math.max(rows, cols) > MAX_SIDE_PX || rows * cols > MAX_PIXELS) {
    return new Refusal("UnsupportedImage", `${rows} x ${cols} pixels are more than the limit`, {
      source,
      remedy: `Send at most ${grouped(MAX_SIDE_PX)} pixels a side and ${grouped(MAX_PIXELS)} in all`,
    });
  }
  return null;
}

/** @throws Refusal for an empty picture and a mask */
export function checkContent({ data, rows, cols }: Plane, source: string): void {
  const seen = new Set<number>();
  for (let y = 0; y < rows; y += 61) {
    for (let x = 0; x < cols && seen.size < 3; x += 67) seen.add(data[y * cols + x]);
  }
  if (seen.size > 2) return;
  const [low, high] = extent(data);
  if (low === high) {
    throw new Refusal("NotAMammogram", `every pixel is ${low}: the picture is empty`, {
      source,
      remedy: "Export the image again, or leave it out",
    });
  }
  if (data.every((value) => value === low || value === high)) {
    const text = `the picture has only the values ${low} and ${high}: it is a mask, not an exposure`;
    throw new Refusal("NotAMammogram", text, {
      source,
      remedy: "Send the mammogram that belongs to the mask",
    });
  }
}

/** Decoded samples, interleaved. */
export interface Samples {
  readonly data: Uint8Array | Uint16Array | Int8Array | Int16Array;
  readonly rows: number;
  readonly cols: number;
  readonly samples: number;
}

/** One channel of a grey picture that is stored in several. */
export function mergeChannels(picture: Samples, source: string): Plane<Uint8Array | Uint16Array> {
  const { data, rows, cols, samples } = picture;
  const count = rows * cols;
  const largest = 256 ** data.BYTES_PER_ELEMENT - 1;
  if (samples === 2 || samples === 4) {
    for (let i = samples - 1; i < data.length; i += samples) {
      if (data[i] < largest) {
        throw new Refusal("UnsupportedImage", "the picture is partly transparent", {
          source,
          remedy: "Export it without an alpha channel",
        });
      }
    }
  }
  const first = data instanceof Uint8Array ? new Uint8Array(count) : new Uint16Array(count);
  let equal = true;
  let neutral = true;
  for (let i = 0, at = 0; i < count; i++, at += samples) {
    first[i] = data[at];
    if (samples < 3) continue;
    if (data[at] !== data[at + 1] || data[at] !== data[at + 2]) equal = false;
    const middle = (largest + 1) / 2;
    if (data[at + 1] !== middle || data[at + 2] !== middle) neutral = false;
  }
  if (samples >= 3 && !equal && !neutral) {
    const text = "the picture is coloured: a screenshot or an overlay, not an exposure";
    throw new Refusal("NotAMammogram", text, { source, remedy: "Send the original grey image" });
  }
  return { data: first, rows, cols };
}
