/** One DICOM file: its header alone, or the mammogram, as `mammolens.images.dicom.reader`. */

import type { LoadCodec } from "../pixels/codecs";
import { checkContent } from "../pixels/content";
import {
  type Caution,
  type Header,
  type ImageRef,
  type Mammogram,
  type ObjectKind,
  Refusal,
} from "../types";
import { checkObject, pixelFormat } from "./acceptance";
import { type Parsed, parse } from "./data_set";
import { tagOf, uidName } from "./dictionary";
import { pixelElement } from "./frames";
import { imageRef, sourceHeader } from "./header";
import { applyModality, modalityOf, paddingRange, voiChoices } from "./luts";
import { kindByClass, objectKind } from "./object_kind";
import { statedOrientation } from "./orientation";
import { storedValues } from "./pixels";
import { Tags } from "./tags";

/** A header that was read without the pixels; `refusal` as far as the header shows it. */
export interface Described {
  readonly ref: ImageRef;
  readonly header: Header;
  readonly cautions: readonly Caution[];
  readonly refusal: Refusal | null;
  readonly kind: ObjectKind;
}

export function describeDicom(bytes: Uint8Array, source: string): Described {
  const { tags, parsed } = opened(bytes, source);
  const ref = imageRef(tags);
  const header = sourceHeader(tags);
  let refusal = parsed.excess;
  const kind = refusal === null ? objectKind(tags) : kindByClass(tags);
  try {
    checkObject(tags);
    modalityOf(tags, pixelFormat(tags, parsed.syntax));
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    refusal ??= error;
  }
  return { ref, header, cautions: tags.notes.list, refusal, kind };
}

export async function readDicom(
  bytes: Uint8Array,
  source: string,
  load: LoadCodec,
): Promise<Mammogram> {
  const { tags, parsed } = opened(bytes, source);
  if (parsed.excess !== null) throw parsed.excess;
  checkObject(tags);
  const form = pixelFormat(tags, parsed.syntax);
  const ref = imageRef(tags);
  const header = sourceHeader(tags);
  const element = pixelElement(bytes.subarray(parsed.pixelsAt), tags);
  const stored = await storedValues(tags, form, element, load);
  checkContent(stored, source);
  const signed = stored.data instanceof Int8Array || stored.data instanceof Int16Array;
  const read = { ...form, signed };
  const modality = modalityOf(tags, read);
  const pixels = applyModality(modality, stored);
  const [voi = null, ...otherVoi] = voiChoices(tags, read, modality, pixels.data);
  const padding = paddingRange(tags, modality, read);
  const orientation = statedOrientation(tags, ref.side, ref.view);
  return {
    ref,
    header,
    pixels,
    photometric: form.photometric,
    voi,
    otherVoi,
    padding,
    orientation,
    cautions: tags.notes.list,
  };
}

function opened(bytes: Uint8Array, source: string): { tags: Tags; parsed: Parsed } {
  const parsed = parse(bytes, source);
  const { declared, syntax, mediaClass } = parsed;
  const classTag = tagOf("SOPClassUID");
  if (mediaClass !== null && !parsed.dataSet.elements.has(classTag)) {
    const value = new TextEncoder().encode(mediaClass);
    const element = { tag: classTag, vr: "UI", value, items: null };
    (parsed.dataSet.elements as Map<number, typeof element>).set(classTag, element);
  }
  const tags = new Tags(parsed.dataSet, source);
  if (!["SOPClassUID", "Modality", "Rows"].some((keyword) => tags.text(keyword))) {
    const text = "the DICOM header is truncated, or this is another kind of file";
    throw new Refusal("NotAnImage", text, {
      source,
      remedy: "Send DICOM, PNG, JPEG, PGM or TIFF images",
    });
  }
  if (!parsed.hasPreamble) tags.caution("missing_preamble", "the file has no DICOM preamble");
  if (declared === null) {
    const text = "TransferSyntaxUID is missing; it was inferred from the data";
    tags.caution("missing_transfer_syntax", text);
  } else if (syntax !== declared) {
    const text = `TransferSyntaxUID is ${uidName(declared)}, but the data set is ${uidName(syntax)}`;
    tags.caution("transfer_syntax_differs", text);
  }
  return { tags, parsed };
}
