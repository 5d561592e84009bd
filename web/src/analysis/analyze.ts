/**
 * Analysis on the device: files → predictions, without any request. The same decisions as
 * `mammolens.analysis.analyze_paths`; what is not ported is refused by name, or withholds `low`.
 */

import type { DeviceFile } from "./exams/files";
import { loadExam } from "./exams/load";
import { planExams } from "./exams/plan";
import type { LoadCodec } from "./pixels/codecs";
import { analyzeExam, type Prediction } from "./score/exam";
import type { Model } from "./score/session";
import type { Unreadable } from "./types";

export interface Progress {
  /** Steps that are done, and all steps: each image is read once and scored once. */
  readonly done: number;
  readonly all: number;
}

export interface Analysis {
  readonly exams: readonly Prediction[];
  /** Files that belong to no exam. */
  readonly unplaced: readonly Unreadable[];
}

export async function analyze(
  files: readonly DeviceFile[],
  model: Model,
  load: LoadCodec,
  options: { prevalence?: number | null; onProgress?: (progress: Progress) => void } = {},
): Promise<Analysis> {
  const [plans, unplaced] = await planExams(files);
  const all = 2 * plans.reduce((sum, plan) => sum + plan.files.length, 0);
  let done = 0;
  const step = () => options.onProgress?.({ done: Math.min(++done, all), all });
  const exams: Prediction[] = [];
  for (const plan of plans) {
    const exam = await loadExam(plan, model, load, step);
    exams.push(await analyzeExam(exam, model, options.prevalence ?? null, step));
  }
  return { exams, unplaced };
}
