/** From pictures to scores; from views to breast, exam and category, as `mammolens.analysis`. */

import type { Category, Scores } from "../types";
import type { AgePrior, Card } from "./card";
import { softmax } from "./softmax";

type Triple = readonly [normal: number, benign: number, malignant: number];

/** Mean of the log-probabilities of the views, made to sum to one. */
export function poolBreast(views: readonly Triple[]): Scores {
  const logs = [0, 1, 2].map((n) => {
    const each = views.map((view) => Math.log(Math.min(Math.max(view[n], 1e-9), 1)));
    return each.reduce((a, b) => a + b, 0) / each.length;
  });
  const [normal, benign, malignant] = softmax(logs);
  return { normal, benign, malignant };
}

/** The highest malignancy, and the highest tumour probability. */
export function poolExam(breasts: readonly Scores[]): Scores {
  const malignant = Math.max(...breasts.map((score) => score.malignant));
  const tumour = Math.max(...breasts.map((score) => 1 - score.normal), malignant);
  return { normal: 1 - tumour, benign: tumour - malignant, malignant };
}

/** The category of an exam from its P(malignant) at the prior of the card. */
export function triage(malignant: number, card: Card): Category {
  // A number that is not finite compares as false: it must never become low.
  if (!Number.isFinite(malignant)) return "failed";
  if (malignant >= card.high) return "high";
  return malignant < card.low ? "low" : "intermediate";
}

/** What an age adds to the log-odds of malignancy; null if it is unknown or not plausible. */
export function ageLogOdds(prior: AgePrior | null, years: number | null): number | null {
  if (prior === null || years === null || !(years >= 15 && years <= 110)) return null;
  const bounded = Math.min(Math.max(years, prior.youngest_years), prior.oldest_years);
  return (prior.log_odds_per_decade * (bounded - prior.centre_years)) / 10;
}

/** Adds to the log-odds of malignancy. */
export function shiftOdds([normal, benign, malignant]: Triple, logOdds: number): Triple {
  const raised = malignant * Math.exp(logOdds);
  const sum = normal + benign + raised;
  return [normal / sum, benign / sum, raised / sum];
}

/** Scores at another share of malignant breasts. */
export function restate(scores: Scores, card: Card, prevalence: number): Scores {
  const [normal, benign, malignant] = card.prior;
  if (prevalence === malignant) return scores;
  const rest = (1 - prevalence) / (normal + benign);
  const shifted = [
    scores.normal * rest,
    scores.benign * rest,
    (scores.malignant * prevalence) / malignant,
  ];
  const sum = shifted.reduce((a, b) => a + b, 0);
  return { normal: shifted[0] / sum, benign: shifted[1] / sum, malignant: shifted[2] / sum };
}
