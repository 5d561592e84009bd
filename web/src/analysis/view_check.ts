/**
 * One picture by itself, at the moment it is chosen: which breast and view it shows, and what is
 * wrong with it. The same readers, refusals and gate as in the analysis.
 */

import { looksLikeDicom } from "./dicom/data_set";
import { describeDicom } from "./dicom/reader";
import { type DeviceFile, readImage } from "./exams/files";
import { admit } from "./gate/gate";
import { prepare } from "./picture/prepare";
import type { LoadCodec } from "./pixels/codecs";
import { qualityDoubts } from "./quality/doubts";
import { digestOf } from "./score/session";
import { type Caution, Refusal, type Side, type View } from "./types";

export interface ViewCheck {
  readonly isDicom: boolean;
  readonly side: Side | null;
  readonly view: View | null;
  readonly patientId: string | null;
  /** As the header has it. */
  readonly patientName: string | null;
  readonly birthYear: number | null;
  readonly studyUid: string | null;
  readonly instanceUid: string | null;
  /** SHA-256 of the file: the same picture is not two views. */
  readonly digest: string | null;
  /** Why the picture cannot be used; null: it can. */
  readonly refusal: { readonly name: string; readonly message: string } | null;
  /** Everything else that was noted. */
  readonly cautions: readonly Caution[];
}

/** As the quality rules prepare a picture, whatever the model's card asks for; the gate takes any. */
const INPUT = {
  version: 1,
  height: 640,
  width: 352,
  low_percentile: 1,
  high_percentile: 99.5,
} as const;

export async function checkView(file: DeviceFile, load: LoadCodec): Promise<ViewCheck> {
  const bytes = await file.bytes();
  const isDicom = looksLikeDicom(bytes.subarray(0, 132));
  const nothing: ViewCheck = {
    isDicom,
    side: null,
    view: null,
    patientId: null,
    patientName: null,
    birthYear: null,
    studyUid: null,
    instanceUid: null,
    digest: null,
    refusal: null,
    cautions: [],
  };
  if (!isDicom)
    return { ...nothing, digest: await digestOf(bytes), refusal: await unreadable(bytes) };
  try {
    const image = await readImage(bytes, file.name, load);
    const view = prepare(image, INPUT);
    const notes = [...admit(view, null, file.name), ...qualityDoubts(image, view, INPUT)];
    const { ref, header } = image;
    const year = /^\d{4}/.exec(header.birthDate ?? "")?.[0];
    return {
      ...nothing,
      side: ref.side,
      view: ref.view,
      patientId: ref.patientId,
      patientName: header.patientName,
      birthYear: year === undefined ? null : Number(year),
      studyUid: ref.studyUid,
      instanceUid: ref.instanceUid,
      digest: ref.digest,
      cautions: [...view.cautions, ...notes],
    };
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    const { name, message } = error;
    const known = isDicom ? headerOf(bytes, file.name) : null;
    return {
      ...nothing,
      side: known?.ref.side ?? null,
      view: known?.ref.view ?? null,
      refusal: { name, message },
    };
  }
}

/**
 * A photograph of a film: whether this browser decodes it. Glare, focus and edges are judged where it
 * arrives, by the rules of photographs; the gate is for pictures that a detector or scanner made.
 */
async function unreadable(bytes: Uint8Array): Promise<ViewCheck["refusal"]> {
  try {
    const bitmap = await createImageBitmap(new Blob([bytes as Uint8Array<ArrayBuffer>]));
    bitmap.close();
    return null;
  } catch {
    return { name: "NotAnImage", message: "this browser cannot decode the picture" };
  }
}

function headerOf(bytes: Uint8Array, name: string) {
  try {
    return describeDicom(bytes, name);
  } catch {
    return null;
  }
}
