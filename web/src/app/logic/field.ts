/**
 * The four views of a patient as a health worker makes them, and what is wrong with each. Pure.
 * Nothing here knows a score or a category.
 */

import type { ViewCheck } from "../../analysis/view_check";
import { type Agreed, type Contradiction, contradictions } from "./patient_match";

export const SLOTS = ["RCC", "LCC", "RMLO", "LMLO"] as const;
export type Slot = (typeof SLOTS)[number];

export type Patient = Agreed;

export interface Shot {
  readonly file: File;
  readonly check: ViewCheck;
}

export type Shots = Readonly<Partial<Record<Slot, Shot>>>;

export type FaultCode =
  | "unreadable"
  | "not-a-mammogram"
  | "part-of-a-breast"
  | "wrong-side"
  | "wrong-view"
  | Contradiction
  | "same-picture"
  | "blurred"
  | "cut-off"
  | "exposure"
  | "other-exam"
  | "side-unknown"
  | "photograph"
  | "doubtful";

export interface Fault {
  readonly code: FaultCode;
  /** The picture cannot be sent as this view. */
  readonly isBlocking: boolean;
  /** What stands in the picture or its header instead. */
  readonly found: string;
  /** The reason in mammolens's own words, if it gave one. */
  readonly detail: string | null;
}

/**
 * Doubts of the quality rules and of the gate, which the server applies too. They do not keep a
 * picture back: not every patient can be examined again, and the reader sees the doubt.
 */
const QUALITY: Readonly<Record<string, FaultCode>> = {
  quality_sharpness: "blurred",
  quality_motion: "blurred",
  quality_cut_off: "cut-off",
  quality_exposure: "exposure",
  saturated: "exposure",
  quality_kind: "doubtful",
  not_validated: "doubtful",
};

/** What is wrong with a picture as one of the views, the most important first. */
export function faultsOf(check: ViewCheck, slot: Slot, patient: Patient, others: Shots): Fault[] {
  const faults: Fault[] = [];
  const add = (code: FaultCode, isBlocking: boolean, found = "", detail: string | null = null) =>
    faults.push({ code, isBlocking, found, detail });
  const [side, view] = [slot[0], slot.slice(1)];
  if (check.refusal !== null) add(refusalCode(check.refusal.name), true, "", check.refusal.message);
  if (check.side !== null && check.side !== side) add("wrong-side", true, check.side);
  if (check.view !== null && check.view !== view) add("wrong-view", true, check.view);
  const stated = {
    "other-patient": check.patientId,
    "other-birth-year": check.birthYear,
    "other-name": check.patientName?.replaceAll("^", " ").trim(),
  };
  for (const code of contradictions(patient, check)) add(code, true, String(stated[code]));
  const rest = SLOTS.filter((one) => one !== slot).flatMap((one) => others[one] ?? []);
  const isSame = (one: Shot) => check.digest !== null && one.check.digest === check.digest;
  if (rest.some(isSame)) add("same-picture", true);
  const isOfOther = ({ check: other }: Shot) =>
    check.studyUid !== null && other.studyUid !== null && check.studyUid !== other.studyUid;
  if (rest.some(isOfOther)) add("other-exam", false);
  if (check.refusal === null && (check.side === null || check.view === null)) {
    add(check.isDicom ? "side-unknown" : "photograph", false);
  }
  for (const { name, message } of check.cautions) {
    const code = QUALITY[name];
    if (code !== undefined && faults.every((one) => one.code !== code))
      add(code, false, "", message);
  }
  return faults;
}

/** Views without a usable picture. */
export function missingSlots(shots: Shots, patient: Patient): readonly Slot[] {
  return SLOTS.filter((slot) => {
    const shot = shots[slot];
    return shot === undefined || isBlocked(shot, slot, patient, shots);
  });
}

export function isBlocked(shot: Shot, slot: Slot, patient: Patient, shots: Shots): boolean {
  return faultsOf(shot.check, slot, patient, shots).some((fault) => fault.isBlocking);
}

function refusalCode(name: string): FaultCode {
  if (name === "NotAMammogram") return "not-a-mammogram";
  return name === "NotAWholeView" ? "part-of-a-breast" : "unreadable";
}
