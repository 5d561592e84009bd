/** The single frame of a DICOM image → stored values, as `mammolens.images.dicom.pixels`. */

import { grouped, significant } from "../numbers";
import { decodeStream, type LoadCodec } from "../pixels/codecs";
import { mergeChannels, type Samples } from "../pixels/content";
import { decodeRle } from "../pixels/rle";
import { streamSize } from "../pixels/streams";
import { orderedBytes, type StoredPlane, trustedValues } from "../pixels/trust";
import { type Plane, Refusal } from "../types";
import { nativeBytes, type PixelFormat } from "./acceptance";
import { type Frame, oneFrame, type PixelElement } from "./frames";
import { declaredCodec } from "./syntaxes";
import type { Tags } from "./tags";

export async function storedValues(
  tags: Tags,
  form: PixelFormat,
  element: PixelElement,
  load: LoadCodec,
): Promise<Plane> {
  const declared = declaredCodec(form.syntax);
  const frame = oneFrame(element, nativeBytes(form), declared, tags);
  if (frame.codec !== declared) {
    const text = `TransferSyntaxUID is ${declared}, but the pixel data are ${frame.codec}`;
    tags.caution("transfer_syntax_differs", text);
  }
  const samples =
    frame.codec === "uncompressed"
      ? native(frame.data, tags, form)
      : await compressed(frame, tags, form, load);
  let plane: StoredPlane = { data: samples.data, rows: form.rows, cols: form.cols };
  if (samples.samples > 1) {
    plane = mergeChannels(samples, tags.source);
    tags.caution("grey_as_colour", "the grey picture is stored in three equal channels");
  }
  const [ordered, notes] = orderedBytes(plane, form.bitsStored, tags.source);
  const [values, more] = trustedValues(ordered, form, tags.source);
  tags.notes.list.push(...notes, ...more);
  return values;
}

function native(data: Uint8Array, tags: Tags, form: PixelFormat): Samples {
  const count = form.rows * form.cols * form.samples;
  const expected = (count * form.bitsAllocated) / 8;
  if (data.length < expected) {
    const sizes = `it has ${grouped(data.length)} of the expected ${grouped(expected)} bytes`;
    throw tags.unusable("PixelData", `is truncated: ${sizes}`);
  }
  if (data.length > expected + 1) checkExtra(data, expected, tags);
  const values = form.bitsAllocated === 8 ? data.subarray(0, count) : words(data, count);
  const samples = { data: values, rows: form.rows, cols: form.cols, samples: form.samples };
  return form.planar && form.samples > 1 ? interleaved(samples) : samples;
}

/** Bytes are copied only where they lie unaligned. */
function words(data: Uint8Array, count: number): Uint16Array {
  if (data.byteOffset % 2 === 0) return new Uint16Array(data.buffer, data.byteOffset, count);
  return new Uint16Array(data.slice(0, 2 * count).buffer);
}

function interleaved(picture: Samples): Samples {
  const { data, rows, cols, samples } = picture;
  const out = data.slice();
  const count = rows * cols;
  for (let s = 0; s < samples; s++) {
    for (let i = 0; i < count; i++) out[i * samples + s] = data[s * count + i];
  }
  return { ...picture, data: out };
}

/** Zeros after the picture are filling, other bytes may be a part of it. */
function checkExtra(data: Uint8Array, expected: number, tags: Tags): void {
  const over = data.length - expected;
  const text = `there are ${grouped(over)} bytes after the picture`;
  if (data.subarray(expected).every((byte) => byte === 0)) {
    tags.caution("extra_pixel_data", text);
  } else if (over >= expected) {
    const times = significant(data.length / expected, 3);
    const what = `is ${times} times as long as Rows, Columns and BitsAllocated give`;
    throw tags.unusable("PixelData", what);
  } else {
    tags.doubt("extra_pixel_data", `${text}: Rows or Columns may be too small`);
  }
}

async function compressed(
  frame: Frame,
  tags: Tags,
  form: PixelFormat,
  load: LoadCodec,
): Promise<Samples> {
  const { source } = tags;
  const { rows, cols } = form;
  if (frame.codec === "RLE") {
    if (form.samples !== 1) {
      throw new Refusal("NotAMammogram", "a colour picture is not a mammogram", {
        source,
        keyword: "SamplesPerPixel",
        remedy: "Send the original grey image",
      });
    }
    const bytes = decodeRle(frame.data, rows * cols, form.bitsAllocated === 8 ? 1 : 2, source);
    const data = form.bitsAllocated === 8 ? bytes : new Uint16Array(bytes.buffer);
    return { data, rows, cols, samples: 1 };
  }
  const size = streamSize(frame.data, source);
  if (size.rows !== rows || size.cols !== cols || size.components !== form.samples) {
    const text =
      `has ${size.rows} x ${size.cols} pixels of ${size.components} samples, but the header` +
      ` says ${rows} x ${cols} of ${form.samples}`;
    throw tags.unusable("PixelData", text);
  }
  if (size.bits > 16) {
    const text = `a stream with ${size.bits} bits per pixel is not read`;
    throw new Refusal("UnsupportedImage", text, {
      source,
      keyword: "BitsAllocated",
      remedy: "Export the image with 8 or 16 bits",
    });
  }
  const picture = await decodeStream(frame.codec, frame.data, source, load);
  if (picture.rows !== rows || picture.cols !== cols || picture.samples !== form.samples) {
    throw tags.unusable("PixelData", `decodes to shape (${picture.rows}, ${picture.cols})`);
  }
  return picture;
}
