/**
 * What a reader answers: what is missing, what contradicts itself, what was changed after the AI.
 * Pure. An open answer is `null` and stays so: it is never filled in.
 */

import type { Answers, BiRads, Breast, Density, ReadingMark } from "../api/types";

export const BREASTS: readonly Breast[] = ["right", "left"];
export const DENSITIES: readonly Density[] = ["a", "b", "c", "d"];
/** ACR BI-RADS Atlas, 5th edition. */
export const BIRADS: readonly BiRads[] = ["0", "1", "2", "3", "4", "5", "6"];

export const NO_ANSWERS: Answers = {
  density: { right: null, left: null },
  assessments: { right: { birads: null }, left: { birads: null } },
  recall: null,
  findings: [],
  comment: "",
  urgent: "",
};

export function answersOf(reading: Answers): Answers {
  const { density, assessments, recall, findings, comment, urgent } = reading;
  return { density, assessments, recall, findings, comment, urgent };
}

export function withBirads(answers: Answers, breast: Breast, birads: BiRads | null): Answers {
  return { ...answers, assessments: { ...answers.assessments, [breast]: { birads } } };
}

export function withDensity(answers: Answers, breast: Breast, density: Density | null): Answers {
  return { ...answers, density: { ...answers.density, [breast]: density } };
}

export type Missing = "birads-right" | "birads-left" | "birads" | "recall" | "comment";

/**
 * What must be answered before the answer can be locked.
 *
 * @param imaged the breasts that the exam shows; a breast without a picture has no assessment
 */
export function missingIn(answers: Answers, imaged: readonly Breast[]): readonly Missing[] {
  const missing: Missing[] = imaged
    .filter((breast) => answers.assessments[breast].birads === null)
    .map((breast) => `birads-${breast}` as const);
  const isEmpty = BREASTS.every((breast) => answers.assessments[breast].birads === null);
  if (imaged.length === 0 && isEmpty) missing.push("birads");
  if (answers.recall === null) missing.push("recall");
  if (isUnexplained(answers)) missing.push("comment");
  return missing;
}

/** Suspicious and yet no recall: that stands only with a word of explanation. */
function isUnexplained({ assessments, findings, recall, comment }: Answers): boolean {
  const given = [...BREASTS.map((breast) => assessments[breast].birads), ...findings.map(biradsOf)];
  const isSuspicious = given.some((birads) => birads !== null && SUSPICIOUS.includes(birads));
  return recall === false && isSuspicious && comment.trim() === "";
}

const biradsOf = ({ birads }: ReadingMark) => birads;

export type Contradiction = "no-recall-suspicious" | "recall-benign" | "finding-above-breast";

/** BI-RADS categories that ask for more: 0 for further images, 4 and 5 for a biopsy. */
const SUSPICIOUS: readonly BiRads[] = ["0", "4", "5"];
const BENIGN: readonly BiRads[] = ["1", "2"];

/** Answers that hardly fit together. They are shown to the reader, who decides. */
export function contradictionsIn(answers: Answers): readonly Contradiction[] {
  const found: Contradiction[] = [];
  const given = BREASTS.map((breast) => answers.assessments[breast].birads);
  const known = given.filter((birads) => birads !== null);
  if (answers.recall === false && known.some((birads) => SUSPICIOUS.includes(birads))) {
    found.push("no-recall-suspicious");
  }
  if (answers.recall === true && known.length > 0) {
    if (known.every((birads) => BENIGN.includes(birads))) found.push("recall-benign");
  }
  const highest = Math.max(-1, ...known.map((birads) => rankOf(birads)));
  const findings = answers.findings.flatMap(({ birads }) => (birads === null ? [] : [birads]));
  if (highest >= 0 && findings.some((birads) => rankOf(birads) > highest)) {
    found.push("finding-above-breast");
  }
  return found;
}

/** How much a category asks for: 0 (incomplete) asks for more than 3, and less than 4. */
function rankOf(birads: BiRads): number {
  return birads === "0" ? 3.5 : Number(birads);
}

export interface Change {
  readonly what: "birads-right" | "birads-left" | "density-right" | "density-left" | "recall";
  readonly from: string | boolean | null;
  readonly to: string | boolean | null;
}

/** What differs between two answers, apart from marks and comment. */
export function changesBetween(before: Answers, after: Answers): readonly Change[] {
  const changes: Change[] = [];
  for (const breast of BREASTS) {
    const [from, to] = [before.assessments[breast].birads, after.assessments[breast].birads];
    if (from !== to) changes.push({ what: `birads-${breast}`, from, to });
    const [was, is] = [before.density[breast], after.density[breast]];
    if (was !== is) changes.push({ what: `density-${breast}`, from: was, to: is });
  }
  if (before.recall !== after.recall) {
    changes.push({ what: "recall", from: before.recall, to: after.recall });
  }
  return changes;
}

export function sameAnswers(a: Answers, b: Answers): boolean {
  return (
    changesBetween(a, b).length === 0 &&
    a.comment === b.comment &&
    a.urgent === b.urgent &&
    JSON.stringify(a.findings) === JSON.stringify(b.findings)
  );
}

export function withFinding(answers: Answers, id: string, changes: Partial<ReadingMark>): Answers {
  const findings = answers.findings.map((mark) =>
    mark.id === id ? { ...mark, ...changes } : mark,
  );
  return { ...answers, findings };
}
