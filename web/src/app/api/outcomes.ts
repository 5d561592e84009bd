/** Outcomes of biopsies: the queue, one report, an exam's outcomes, the audit of a site. */

import type { Box } from "../../viewer/exam";
import { API, type Client, queryOf } from "./client";
import type { Id, Page } from "./types";

export type OutcomeState = "waiting" | "settled" | "decided" | "withdrawn";
export type Side = "L" | "R";

/** What is known of one specimen; the server gives more keys than the page shows. */
export interface OutcomeValues {
  readonly outcome?: string | null;
  readonly laterality?: Side | null;
  readonly size_mm?: number | null;
  readonly nodes_positive?: number | null;
  readonly nodes_examined?: number | null;
  readonly clock?: number;
  readonly distance_cm?: number;
  readonly quadrant?: string;
  readonly specimen?: string | null;
}

export interface Outcome {
  readonly id: Id;
  readonly version: number;
  readonly state: OutcomeState;
  readonly site_id: Id | null;
  readonly exam_id: Id | null;
  /** The day on which the tissue was taken. */
  readonly taken: string | null;
  readonly proposed: OutcomeValues;
  readonly decided: OutcomeValues | null;
  /** Code, and words of the grammar in English. */
  readonly reasons: readonly (readonly [string, string])[];
  readonly changed_at: string;
}

/** Where a biopsy lies in an image, and which findings of the AI lie there. */
export interface OutcomePlace {
  readonly sop_instance_uid: string;
  readonly view: string;
  readonly region_source_px: Box;
  readonly findings: readonly number[];
}

export interface ExamChoice {
  readonly id: Id;
  readonly accession_number: string | null;
  readonly patient_id: string | null;
  readonly patient_name: string | null;
  readonly birth_date: string | null;
  readonly study_date: string | null;
}

export interface OutcomeDecision {
  readonly person: string;
  readonly at: string;
  readonly exam_id: Id | null;
  readonly proposed: OutcomeValues;
  readonly decided: OutcomeValues;
}

export interface OutcomeDetail {
  readonly row: Outcome;
  readonly text: string;
  /** Field, start and end in the text; in code points, as Python counts. */
  readonly evidence: readonly (readonly [string, number, number])[];
  readonly candidates: readonly ExamChoice[];
  readonly places: readonly OutcomePlace[];
  readonly decisions: readonly OutcomeDecision[];
}

export interface ExamOutcome {
  readonly row: Outcome;
  readonly places: readonly OutcomePlace[];
}

export interface NewDecision {
  readonly version: number;
  readonly exam_id: Id | null;
  readonly outcome: string;
  readonly laterality: Side | null;
  readonly size_mm: number | null;
  readonly nodes_positive: number | null;
  readonly nodes_examined: number | null;
  readonly finding: readonly [string, number] | null;
}

export interface AuditFigure {
  readonly value: number;
  readonly low: number | null;
  readonly high: number | null;
  readonly n: number;
  readonly n_positive: number;
  readonly n_patients: number;
}

export type AuditFigures = Readonly<Record<string, AuditFigure | null>>;

export interface AuditGroup {
  readonly group: string;
  readonly n: number;
  readonly readers: AuditFigures;
  readonly ai: AuditFigures | null;
}

export interface IntervalCancer {
  readonly exam_id: Id | null;
  readonly exam_date: string;
  readonly reader: string;
  readonly birads: string;
  readonly days_after: number;
  readonly outcome: string;
  readonly side: string;
  readonly ai_category: string;
}

/** A share with its interval at this look, and how many first exams of patients it has. */
export interface WatchedShare {
  readonly n: number;
  readonly value: number;
  readonly low: number;
  readonly high: number;
}

/** A group beside all other exams; the interval of the difference is valid at every look. */
export interface WatchedGroup extends WatchedShare {
  readonly axis: string;
  readonly group: string;
  readonly figure: "sensitivity" | "specificity" | "recall_rate";
  readonly others: WatchedShare;
  readonly difference: number;
  readonly always_low: number;
  readonly always_high: number;
  readonly alarm_since: string | null;
}

export interface Fairness {
  readonly rule: string;
  /** The chance of any false alarm in the table, over all looks. */
  readonly alpha: number;
  readonly alarms: number;
  readonly figures: readonly WatchedGroup[];
}

export interface SiteAudit {
  readonly rule: string;
  readonly ai_rule: string | null;
  readonly complete_until: string;
  readonly complete_until_stated: boolean;
  readonly counts: Readonly<Record<string, number>>;
  readonly excluded: Readonly<Record<string, number>>;
  readonly per: Readonly<Record<string, number>>;
  readonly benchmarks: Readonly<Record<string, number | string>>;
  readonly readers: AuditFigures;
  readonly criteria: {
    readonly source: string;
    readonly met: Readonly<Record<string, string | null>>;
  };
  readonly comparison: {
    readonly readers: AuditFigures;
    readonly ai: AuditFigures;
    readonly difference: AuditFigures;
  } | null;
  readonly groups: Readonly<Record<string, readonly AuditGroup[]>>;
  readonly interval_cancers: readonly IntervalCancer[];
  /** Subgroups over all times; null for who answered no exam. */
  readonly fairness: { readonly ai: Fairness | null; readonly readers: Fairness | null };
  readonly waiting_outcomes: number;
}

export interface AuditQuestion {
  readonly edition: string;
  readonly readers: string;
  readonly ai_positive: string;
  readonly from: string;
  readonly to: string;
  readonly complete_until: string;
}

export type AuditFormat = "json" | "csv" | "fairness" | "pdf";

export function outcomesApi(client: Client) {
  const auditPath = (site: Id, asked: AuditQuestion, format: AuditFormat) =>
    `/sites/${site}/audit${queryOf({ ...asked, format })}`;
  return {
    list: (before: Id | null, state: OutcomeState | null) =>
      client.call<Page<Outcome, Id>>("GET", `/outcomes${queryOf({ state, before, limit: 50 })}`),
    show: (id: Id) => client.call<OutcomeDetail>("GET", `/outcomes/${id}`),
    decide: (id: Id, body: NewDecision) => client.call<Outcome>("PUT", `/outcomes/${id}`, { body }),
    ofExam: (exam: Id) =>
      client.call<{ hidden: boolean; items: readonly ExamOutcome[] }>(
        "GET",
        `/exams/${exam}/outcomes`,
      ),
    audit: (site: Id, asked: AuditQuestion) =>
      client.call<SiteAudit>("GET", auditPath(site, asked, "json")),
    auditUrl: (site: Id, asked: AuditQuestion, format: AuditFormat) =>
      `${API}${auditPath(site, asked, format)}`,
  };
}
