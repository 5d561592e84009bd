/** Pictures without a header: PNG and JPEG. TIFF and PGM are refused by name on the device. */

import { nameCautions } from "../dicom/views";
import { decodeJpeg, type LoadCodec } from "../pixels/codecs";
import { checkContent, mergeChannels, type Samples, sizeRefusal } from "../pixels/content";
import { streamSize } from "../pixels/streams";
import { orderedBytes } from "../pixels/trust";
import {
  type Caution,
  caution,
  EMPTY_HEADER,
  type Header,
  type ImageRef,
  type Mammogram,
  type Orientation,
  type Plane,
  Refusal,
} from "../types";
import { readName } from "../words/names";
import { exifOfJpeg, exifOrientation } from "./exif";
import { decodePng } from "./png";

type Kind = "PNG" | "JPEG" | "TIFF" | "PGM";

export function looksLikePicture(bytes: Uint8Array): boolean {
  return kindOf(bytes) !== null;
}

function kindOf(bytes: Uint8Array): Kind | null {
  const head = String.fromCharCode(...bytes.subarray(0, 8));
  if (head === "\x89PNG\r\n\x1a\n") return "PNG";
  if (head.startsWith("\xff\xd8\xff")) return "JPEG";
  if (head.startsWith("II*\0") || head.startsWith("MM\0*")) return "TIFF";
  return /^P[25]\s/.test(head) ? "PGM" : null;
}

export function describePicture(name: string): [ImageRef, Header] {
  const facts = readName(name);
  const ref: ImageRef = {
    path: name,
    patientId: facts.patientId,
    studyUid: null,
    seriesUid: null,
    instanceUid: null,
    side: facts.side,
    view: facts.view,
    intent: null,
    aspect: 1,
    ageYears: null,
    acquisitionDate: null,
    digest: null,
  };
  return [ref, EMPTY_HEADER];
}

export async function readPicture(
  bytes: Uint8Array,
  name: string,
  load: LoadCodec,
): Promise<Mammogram> {
  const { samples, exif } = await decoded(bytes, name, load);
  const notes: Caution[] = [];
  let plane: Plane = { data: samples.data, rows: samples.rows, cols: samples.cols };
  if (samples.samples > 1) {
    plane = mergeChannels(samples, name);
    const text = "the grey picture is stored in several equal channels";
    notes.push(caution("grey_as_colour", text));
  }
  if (plane.data instanceof Uint16Array) {
    const [ordered, more] = orderedBytes({ ...plane, data: plane.data }, 16, name);
    plane = ordered;
    notes.push(...more);
  }
  checkContent(plane, name);
  const [ref, header] = describePicture(name);
  return {
    ref,
    header,
    pixels: plane,
    photometric: "MONOCHROME2",
    voi: null,
    otherVoi: [],
    padding: null,
    orientation: orientationOf(exif),
    cautions: [...nameCautions(readName(name)), ...notes],
  };
}

async function decoded(
  bytes: Uint8Array,
  source: string,
  load: LoadCodec,
): Promise<{ samples: Samples; exif: Uint8Array }> {
  const kind = kindOf(bytes);
  if (kind === "PNG") return await decodePng(bytes, source);
  if (kind === "JPEG") {
    const size = streamSize(bytes, source);
    const error = sizeRefusal(size.rows, size.cols, source);
    if (error !== null) throw error;
    return { samples: await decodeJpeg(bytes, source, load), exif: exifOfJpeg(bytes) };
  }
  throw new Refusal("UnsupportedImage", `${kind} is not read on this device`, {
    source,
    remedy: "Send the file to the server, or export it as DICOM, PNG or JPEG",
  });
}

function orientationOf(exif: Uint8Array): Orientation | null {
  const quarterTurns = exifOrientation(exif);
  if (quarterTurns === null) return null;
  return { quarterTurns, chestWallRight: null, keyword: "Exif Orientation" };
}
