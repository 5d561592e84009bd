/** Reads the files of a plan one by one, drops copies, checks the views, as `mammolens.exams.load`. */

import type { LoadCodec } from "../pixels/codecs";
import { admitted, type Kept, unscored } from "../score/exam";
import { type Slot, STANDARD_VIEWS } from "../score/low";
import { digestOf, type Model } from "../score/session";
import {
  type Caution,
  caution,
  doubt,
  type ImageRef,
  type Mammogram,
  Refusal,
  type Unreadable,
} from "../types";
import { type HeaderInfo, identify, readImage } from "./files";
import { isPlaceholder } from "./identity";
import { type ExamPlan, unreadable } from "./plan";

/** An exam whose pixels were prepared for the model and let go. */
export interface Exam {
  readonly patientId: string | null;
  readonly studyUid: string | null;
  /** In the order RCC, LCC, RMLO, LMLO, others. */
  readonly kept: readonly Kept[];
  readonly cautions: readonly Caution[];
  readonly unreadable: readonly Unreadable[];
}

/** One decoded image: what it became, and a digest of its pixels to find copies. */
interface Read {
  readonly ref: ImageRef;
  readonly pixels: string;
  readonly result: Kept | Unreadable;
}

const CONTRADICTION = "duplicate_uid_different_pixels";

export async function loadExam(
  plan: ExamPlan,
  model: Model,
  load: LoadCodec,
  onFile: () => void = () => {},
): Promise<Exam> {
  const read: Read[] = [];
  const cautions = [...plan.cautions];
  const refused: Unreadable[] = [...plan.unreadable];
  for (const file of plan.files) {
    let bytes: Uint8Array | null = null;
    let mammogram: Mammogram;
    try {
      bytes = await file.bytes();
      mammogram = await readImage(bytes, file.name, load);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      const header = bytes === null ? null : headerOf(bytes, file.name);
      refused.push(unreadable(file.name, error, header));
      onFile();
      continue;
    }
    const pixels = await pixelDigest(mammogram);
    const copy = copyCaution(mammogram.ref, pixels, read);
    if (copy === null) {
      read.push({ ref: mammogram.ref, pixels, result: prepared(mammogram, model) });
    } else {
      cautions.push(copy);
      if (copy.name === CONTRADICTION) {
        const { message } = copy;
        const at = { path: file.name, ref: null, header: null };
        refused.push({ ...at, error: "NotAnImage", message, kind: "mammogram" });
      }
    }
    onFile();
  }
  const ordered = [...read].sort((a, b) => compare(orderOf(a.ref), orderOf(b.ref)));
  cautions.push(...viewCautions(ordered));
  if (isPlaceholder(plan.patientId)) cautions.push(...repeatedViews(ordered));
  const results = ordered.map(({ result }) => result);
  return {
    patientId: plan.patientId,
    studyUid: plan.studyUid,
    kept: results.filter((result) => "view" in result),
    cautions,
    unreadable: [...refused, ...results.filter((result) => "error" in result)],
  };
}

function prepared(mammogram: Mammogram, model: Model): Kept | Unreadable {
  try {
    return admitted(mammogram, model);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return unscored(mammogram, error);
  }
}

function headerOf(bytes: Uint8Array, name: string): HeaderInfo | null {
  try {
    return identify(bytes, name);
  } catch (error) {
    if (error instanceof Refusal) return null;
    throw error;
  }
}

async function pixelDigest({ pixels }: Mammogram): Promise<string> {
  const { data, rows, cols } = pixels;
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return `${data.constructor.name} ${rows} ${cols} ${await digestOf(bytes)}`;
}

/** How an image repeats an earlier one; null if it is a different image. */
function copyCaution(ref: ImageRef, pixels: string, earlier: readonly Read[]): Caution | null {
  for (const other of earlier) {
    const sameUid = ref.instanceUid !== null && ref.instanceUid === other.ref.instanceUid;
    const sameFile = ref.digest === other.ref.digest;
    const sameSlot = ref.side === other.ref.side && ref.view === other.ref.view;
    if (!(sameUid || sameFile || sameSlot)) continue;
    const equal = sameFile || pixels === other.pixels;
    if (sameUid && !equal) {
      const text =
        `${ref.path} has the SOPInstanceUID of ${other.ref.path} but other pixels;` +
        " it was left out";
      return caution(CONTRADICTION, text);
    }
    if (!equal) continue;
    const name = sameUid || sameFile ? "duplicate_instance" : "duplicate_pixels";
    return caution(name, `${ref.path} is a copy of ${other.ref.path}`);
  }
  return null;
}

type Order = readonly [rank: number, view: string, side: string];

function orderOf({ side, view }: ImageRef): Order {
  const rank = STANDARD_VIEWS.findIndex((slot) => slot[0] === side && slot[1] === view);
  return [rank < 0 ? STANDARD_VIEWS.length : rank, view ?? "~", side ?? "~"];
}

function compare(a: Order, b: Order): number {
  for (let n = 0; n < 3; n++) if (a[n] !== b[n]) return a[n] < b[n] ? -1 : 1;
  return 0;
}

function viewCautions(read: readonly Read[]): Caution[] {
  if (!read.length) return [];
  const has = ([side, view]: Slot) =>
    read.some(({ ref }) => ref.side === side && ref.view === view);
  const missing = STANDARD_VIEWS.filter((slot) => !has(slot)).map((slot) => slot.join(""));
  const notes: Caution[] = [];
  if (missing.length) {
    notes.push(caution("missing_view", `not among the images: ${missing.join(", ")}`));
  }
  if (read.some(({ ref }) => ref.side === null)) {
    const text = "for some images, it is unknown which breast they show";
    notes.push(caution("laterality_unknown", text));
  }
  return notes;
}

/** Doubts several pictures of one view if no PatientID shows that they have one patient. */
function repeatedViews(read: readonly Read[]): Caution[] {
  const slots = read.map(({ ref }) => (ref.side ?? "") + (ref.view ?? ""));
  const names = [...new Set(slots)].filter((slot) => slots.filter((s) => s === slot).length > 1);
  if (!names.length) return [];
  const text =
    `there are several pictures of ${names.join(", ")}, and no PatientID shows that they` +
    " belong to one patient";
  return [doubt("patient_unknown", text)];
}
