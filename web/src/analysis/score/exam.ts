/** Scores, pools, triages and locates one exam, as `mammolens.analysis.exam`. */

import { examAge } from "../dicom/ages";
import type { Exam } from "../exams/load";
import { admit } from "../gate/gate";
import type { Geometry } from "../picture/geometry";
import { type PreparedView, prepare } from "../picture/prepare";
import { qualityDoubts } from "../quality/doubts";
import {
  type Category,
  type Caution,
  caution,
  doubt,
  type Finding,
  type Header,
  type ImageRef,
  type Mammogram,
  type Photometric,
  Refusal,
  type Scores,
  type Side,
  type Unreadable,
  type Voi,
} from "../types";
import { locate } from "./findings";
import { completeWithout, reasonsAgainstLow } from "./low";
import { ageLogOdds, poolBreast, poolExam, restate, shiftOdds, triage } from "./pooling";
import type { Model, ModelMap, RawOutput } from "./session";

export interface ImagePrediction {
  readonly ref: ImageRef;
  readonly header: Header;
  readonly scores: Scores;
  readonly findings: readonly Finding[];
  readonly geometry: Geometry;
  readonly malignancyMap: ModelMap;
  readonly mapLevel: number;
  readonly cautions: readonly Caution[];
  readonly photometric: Photometric;
  readonly voi: Voi | null;
}

/** `scores` is null exactly when the category is failed: the result is then unknown. */
export interface Prediction {
  readonly patientId: string | null;
  readonly studyUid: string | null;
  readonly category: Category;
  readonly scores: Scores | null;
  readonly breasts: readonly { readonly side: Side | null; readonly scores: Scores }[];
  readonly images: readonly ImagePrediction[];
  readonly unreadable: readonly Unreadable[];
  readonly cautions: readonly Caution[];
  readonly model: { readonly name: string; readonly version: string; readonly digest: string };
  readonly notice: string;
  readonly prevalence: number;
  readonly ageOddsFactor: number | null;
}

/** What is kept of a mammogram when its pixels are let go. */
export interface Kept {
  readonly ref: ImageRef;
  readonly header: Header;
  readonly view: PreparedView;
}

const NOT_VALIDATED = [
  "breast_implant",
  "partial_view",
  "view_modified",
  "not_validated",
  "patient_not_validated",
];
const PREFIX = "the model was not validated for ";

/** Prepares one mammogram and asks the input gate. @throws Refusal */
export function admitted(mammogram: Mammogram, model: Model): Kept {
  const view = prepare(mammogram, model.card.preprocess);
  const notes = admit(view, model.card.gate, mammogram.ref.path);
  const doubts = qualityDoubts(mammogram, view, model.card.preprocess);
  const { ref, header } = mammogram;
  return { ref, header, view: { ...view, cautions: [...view.cautions, ...notes, ...doubts] } };
}

/** @param prevalence share of malignant breasts; null uses that of the card */
export async function analyzeExam(
  exam: Exam,
  model: Model,
  prevalence: number | null = null,
  onImage: () => void = () => {},
): Promise<Prediction> {
  if (prevalence !== null && !(prevalence > 0 && prevalence < 1)) {
    throw new Refusal("ConfigError", `a prevalence of ${prevalence} is impossible`, {
      keyword: "prevalence",
      remedy: "Give a share above 0 and below 1, such as 0.005 for screening",
    });
  }
  const { card } = model;
  const { kept } = exam;
  let refused = [...exam.unreadable];
  const cautions = [...exam.cautions, ...modelDoubts(model)];
  const [age, several] = examAge(kept);
  if (several !== null) cautions.push(several);
  const added = ageLogOdds(card.age, age);
  if (kept.length && card.age !== null && added === null) {
    const years = card.age.centre_years.toFixed(0);
    const text = `no usable age: scores stand for a patient of ${years} years`;
    cautions.push(caution("age_unknown", text));
  }
  let images: ImagePrediction[] = [];
  try {
    for (const one of kept) {
      images.push(imageOf(one, await model.score(one.view.pixels), model, added ?? 0));
      onImage();
    }
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    cautions.push(caution("model_failed", error.message));
    refused = [...refused, ...kept.map((one) => unscored(one, error))];
    images = [];
  }
  const at = prevalence ?? card.prior[2];
  const prediction = predictionOf(exam, images, refused, cautions, model, at);
  if (added === null || prediction.scores === null) return prediction;
  return { ...prediction, ageOddsFactor: Math.exp(added) };
}

function predictionOf(
  exam: Exam,
  images: readonly ImagePrediction[],
  refused: readonly Unreadable[],
  given: readonly Caution[],
  model: Model,
  prevalence: number,
): Prediction {
  const { card } = model;
  const breasts = breastsOf(images);
  const scores = breasts.length ? poolExam(breasts.map((breast) => breast.scores)) : null;
  let category: Category = scores === null ? "failed" : triage(scores.malignant, card);
  if (category === "failed" && scores !== null) throw new Error("a score is not a number");
  const cautions = [...given];
  if (scores === null) {
    const text = "nothing could be analysed: the result is unknown";
    cautions.push(caution("exam_failed", text));
  } else {
    const kinds = unvalidated(images);
    const text = `the model was not validated for this: ${kinds}`;
    if (kinds) cautions.push(caution("not_validated", text));
  }
  if (category === "low") {
    const reasons = reasonsAgainstLow(images, refused, given);
    const absent = completeWithout(images);
    if (reasons.length) {
      category = "intermediate";
      const text = `not called low, because ${reasons.join("; ")}`;
      cautions.push(caution("low_withheld", text));
    } else if (absent) {
      const text = `called complete without ${absent}, by the settings or by a coded diagnosis`;
      cautions.push(caution("complete_without", text));
    }
  }
  const restated = <T extends { scores: Scores }>(one: T): T => ({
    ...one,
    scores: restate(one.scores, card, prevalence),
  });
  return {
    patientId: exam.patientId,
    studyUid: exam.studyUid,
    category,
    scores: scores === null ? null : restate(scores, card, prevalence),
    breasts: breasts.map(restated),
    images: images.map(restated),
    unreadable: refused,
    cautions,
    model: { name: card.name, version: card.version, digest: card.graphSha256 },
    notice: card.notice,
    prevalence,
    ageOddsFactor: null,
  };
}

function imageOf(one: Kept, raw: RawOutput, model: Model, logOdds: number): ImagePrediction {
  const { view, ref, header } = one;
  const level = model.card.findingLevel;
  return {
    ref,
    header,
    scores: poolBreast([shiftOdds(raw.probabilities, logOdds)]),
    findings: locate(view, raw.malignancyMap, level),
    geometry: view.geometry,
    malignancyMap: raw.malignancyMap,
    mapLevel: level,
    cautions: view.cautions,
    photometric: view.photometric,
    voi: view.voi,
  };
}

/** An image of unknown side counts as a breast of its own. */
function breastsOf(images: readonly ImagePrediction[]): Prediction["breasts"] {
  const groups = new Map<string, ImagePrediction[]>();
  for (const [number, image] of images.entries()) {
    const key = image.ref.side ?? `#${number}`;
    groups.set(key, [...(groups.get(key) ?? []), image]);
  }
  return [...groups.values()].map((group) => ({
    side: group[0].ref.side,
    scores: poolBreast(
      group.map(({ scores }) => [scores.normal, scores.benign, scores.malignant] as const),
    ),
  }));
}

function unvalidated(images: readonly ImagePrediction[]): string {
  const found = images
    .flatMap((image) => image.cautions)
    .filter((c) => NOT_VALIDATED.includes(c.name))
    .map((c) => (c.message.startsWith(PREFIX) ? c.message.slice(PREFIX.length) : c.message));
  return [...new Set(found)].sort().join("; ");
}

/** A model that was trained only on synthetic pictures: its exams are never low. */
function modelDoubts({ card }: Model): Caution[] {
  if (!card.datasets.every((name) => name.toLowerCase().startsWith("synthetic"))) return [];
  const text =
    "the model learned from synthetic pictures alone: its scores mean nothing clinically";
  return [doubt("synthetic_model", text)];
}

export function unscored(
  { ref, header }: { ref: ImageRef; header: Header },
  error: Refusal,
): Unreadable {
  const { name, message } = error;
  return { path: ref.path, error: name, message, ref, header, kind: "mammogram" };
}
