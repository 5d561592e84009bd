/** One file of the person's device: its header alone, or the mammogram. */

import { looksLikeDicom } from "../dicom/data_set";
import { describeDicom, readDicom } from "../dicom/reader";
import { nameCautions } from "../dicom/views";
import type { LoadCodec } from "../pixels/codecs";
import { describePicture, looksLikePicture, readPicture } from "../raster/reader";
import { digestOf } from "../score/session";
import {
  type Caution,
  type Header,
  type ImageRef,
  type Mammogram,
  type ObjectKind,
  Refusal,
} from "../types";
import { hasImageSuffix, readName } from "../words/names";

/** A chosen file; its bytes are read when they are needed, and let go again. */
export interface DeviceFile {
  /** Its path within the chosen folder, or its name. */
  readonly name: string;
  bytes(): Promise<Uint8Array>;
}

export interface HeaderInfo {
  readonly ref: ImageRef;
  readonly header: Header;
  readonly cautions: readonly Caution[];
  readonly refusal: Refusal | null;
  readonly kind: ObjectKind;
}

const MAX_BYTES = 1 << 30;
const OTHER_FILES = ["%PDF", "PK", "MZ", "\x7fELF", "\x1f\x8b", "{\\rtf", "<?xml", "GIF8", "BM"];

/** @throws Refusal if the header cannot be read */
export function identify(bytes: Uint8Array, name: string): HeaderInfo {
  try {
    return described(bytes, name);
  } catch (error) {
    throw asRefusal(error, name);
  }
}

function described(bytes: Uint8Array, name: string): HeaderInfo {
  checkSize(bytes, name);
  if (looksLikeDicom(bytes.subarray(0, 132))) return describeDicom(bytes, name);
  if (looksLikePicture(bytes)) {
    const [ref, header] = describePicture(name);
    const cautions = nameCautions(readName(name));
    return { ref, header, cautions, refusal: null, kind: "mammogram" };
  }
  throw unknownKind(name);
}

/** Whether a file that cannot be identified may be a damaged mammogram. */
export function mayBeImage(bytes: Uint8Array, name: string): boolean {
  if (bytes.length === 0 || hasImageSuffix(name)) return true;
  const head = bytes.subarray(0, 132);
  if (looksLikeDicom(head) || looksLikePicture(head)) return true;
  const text = String.fromCharCode(...head);
  const isText = head.every((b) => b === 9 || b === 10 || b === 13 || (b >= 32 && b < 127));
  return !isText && !OTHER_FILES.some((start) => text.startsWith(start));
}

/** @throws Refusal if the image is not read */
export async function readImage(
  bytes: Uint8Array,
  name: string,
  load: LoadCodec,
): Promise<Mammogram> {
  let image: Mammogram;
  try {
    checkSize(bytes, name);
    if (looksLikeDicom(bytes.subarray(0, 132))) image = await readDicom(bytes, name, load);
    else if (looksLikePicture(bytes)) image = await readPicture(bytes, name, load);
    else throw unknownKind(name);
  } catch (error) {
    throw asRefusal(error, name);
  }
  return { ...image, ref: { ...image.ref, digest: await digestOf(bytes) } };
}

/** Damaged bytes can lead a reader astray: its error refuses the file, not the exam. */
function asRefusal(error: unknown, source: string): Refusal {
  if (error instanceof Refusal) return error;
  const kind = error instanceof Error ? error.name : "Error";
  return new Refusal("NotAnImage", `the file is damaged (${kind})`, {
    source,
    remedy: "Copy or export it again",
  });
}

function checkSize(bytes: Uint8Array, source: string): void {
  if (bytes.length === 0) {
    const remedy = "Copy or export it again";
    throw new Refusal("NotAnImage", "the file is empty", { source, remedy });
  }
  if (bytes.length > MAX_BYTES) {
    throw new Refusal("UnsupportedImage", `the file is larger than ${MAX_BYTES >> 20} MiB`, {
      source,
      remedy: "Send single 2D images",
    });
  }
}

function unknownKind(source: string): Refusal {
  return new Refusal("NotAnImage", "this is neither DICOM nor PNG, JPEG, PGM or TIFF", {
    source,
    remedy: "Send images of one of these kinds, or leave the file out",
  });
}
