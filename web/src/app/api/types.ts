/**
 * What the server's REST API (`/api/v1`) takes and gives. Types only; times are ISO 8601 in UTC.
 * Unknown is `null` here too: it is never a guess.
 */

import type { AiImage, ExamImage, Point, RefusedObject } from "../../viewer/exam";

export type Id = number;
export type Role = "uploader" | "reader" | "arbiter" | "administrator";
export type Stage = "code" | "password" | "second_factor" | "open";

export interface RoleAt {
  readonly site: Id;
  readonly role: Role;
}

export interface Person {
  readonly id: Id;
  readonly name: string;
  readonly display_name: string;
  readonly is_administrator: boolean;
  readonly is_active: boolean;
  readonly by_provider: boolean;
  readonly must_change_password: boolean;
  readonly has_second_factor: boolean;
  readonly created_at: string;
  readonly roles: readonly RoleAt[];
}

export interface Session {
  readonly id: Id;
  readonly stage: Stage;
  readonly csrf_token: string;
  readonly expires_at: string;
  readonly person: Person;
}

export interface Ways {
  readonly password: boolean;
  readonly provider: string | null;
  readonly signed_in: boolean;
}

export interface SessionNote {
  readonly id: Id;
  readonly is_this: boolean;
  readonly method: "password" | "provider";
  readonly created_at: string;
  readonly seen_at: string;
  readonly expires_at: string;
  readonly address: string;
  readonly agent: string;
}

export interface ApiToken {
  readonly id: Id;
  readonly name: string;
  readonly created_at: string;
  readonly expires_at: string;
  readonly used_at: string | null;
}

export interface Invited {
  readonly person: Person;
  readonly one_time_password: string | null;
}

export type ReadingMode = "concurrent" | "second_reader" | "triage_only";
export type Order = "reception" | "triage";

export interface Site {
  readonly id: Id;
  readonly key: string;
  readonly name: string;
  readonly created_at: string;
  readonly reading_mode?: ReadingMode;
  readonly order?: Order;
  readonly double_reading?: boolean;
  readonly language?: string;
}

export type Category = "high" | "failed" | "withheld" | "intermediate" | "low";
export type ExamStatus =
  | "waiting"
  | "analysing"
  | "new"
  | "in_reading"
  | "read"
  | "arbitration"
  | "signed";

export interface AiSummary {
  readonly category: Category;
  readonly score: number | null;
  readonly score_text: string;
  readonly prevalence: number | null;
  readonly doubts: readonly string[];
  readonly failure: string | null;
  readonly model: string;
  readonly notice: string | null;
}

export interface Named {
  readonly id: Id;
  readonly name: string;
}

export interface ExamRow {
  readonly id: Id;
  readonly study_instance_uid: string;
  readonly accession_number: string | null;
  readonly patient: {
    readonly id: string | null;
    readonly name: string | null;
    readonly birth_date: string | null;
    readonly age_years: number | null;
    readonly sex: string | null;
  };
  readonly study_date?: string | null;
  readonly site: Named | null;
  readonly received_at: string;
  readonly views: readonly string[];
  readonly complete: boolean;
  readonly ai: AiSummary | null;
  readonly ai_hidden: boolean;
  readonly status: ExamStatus;
  readonly reader: Named | null;
  readonly has_priors: boolean;
  readonly revision: number;
  readonly patient_key?: string | null;
}

export interface Page<T> {
  readonly items: readonly T[];
  readonly next: string | null;
  readonly total: number | null;
}

export interface PriorExam {
  readonly exam_id: Id;
  readonly study_date: string | null;
  readonly images?: readonly ExamImage[];
}

export interface ExamDetail extends ExamRow {
  readonly images: readonly ExamImage[];
  readonly refused?: readonly RefusedObject[];
  readonly banner?: string | null;
  readonly priors: readonly PriorExam[];
  readonly readings: readonly Reading[];
  readonly mode: ReadingMode | null;
}

export interface AiDetail {
  readonly images: readonly AiImage[];
}

export type Density = "a" | "b" | "c" | "d";
export type BiRads = "0" | "1" | "2" | "3" | "4" | "5" | "6";
export type Breast = "right" | "left";

export interface ReadingMark {
  readonly id?: string;
  readonly image: string;
  readonly frame?: number;
  readonly shape: "point" | "ellipse" | "arrow" | "text";
  readonly points_source_px: readonly Point[];
  readonly descriptors: Readonly<Record<string, string>> | null;
  readonly birads: BiRads | null;
  readonly text: string;
}

/** What a reader answers. */
export interface Answers {
  readonly density: Readonly<Record<Breast, Density | null>>;
  readonly assessments: Readonly<Record<Breast, { readonly birads: BiRads | null }>>;
  readonly recall: boolean | null;
  readonly findings: readonly ReadingMark[];
  readonly comment: string;
}

export type ReadingRole = "first" | "second" | "arbiter" | "opinion";

export interface Addendum {
  readonly text: string;
  readonly person: Named;
  readonly created_at: string;
}

export interface Reading extends Answers {
  readonly id: Id;
  readonly exam_id: Id;
  readonly person: Named;
  readonly role: ReadingRole;
  readonly state: "draft" | "locked" | "signed";
  readonly first_answer: Answers | null;
  readonly after_ai: (Answers & { readonly agree: boolean }) | null;
  readonly signed_at: string | null;
  readonly addenda?: readonly Addendum[];
  readonly etag: string;
}

export interface Opinion {
  readonly id: Id;
  readonly exam_id: Id;
  readonly asked_by: Named;
  readonly person: Named;
  readonly created_at: string;
  readonly state: "open" | "answered";
  readonly patient_name?: string | null;
}

export interface Notice {
  readonly id: Id;
  readonly exam_id: Id;
  readonly patient_name: string | null;
  readonly site: Named | null;
  readonly created_at: string;
  readonly text: string;
  readonly acknowledged_at: string | null;
  readonly acknowledged_by: Named | null;
}

export interface Recall {
  readonly id: Id;
  readonly exam_id: Id;
  readonly patient_name: string | null;
  readonly site: Named | null;
  readonly created_at: string;
  readonly closed_at: string | null;
  readonly reason: string | null;
}

export interface AuditEntry {
  readonly id: Id;
  readonly at: string;
  readonly actor: string;
  readonly event: string;
  readonly exam_id: Id | null;
  readonly detail: Readonly<Record<string, unknown>> | null;
}

export interface UploadedMember {
  readonly name: string;
  readonly outcome: string;
  readonly detail?: string | null;
  readonly exam_id?: Id | null;
}

/** One entry of the saved filters of a person. */
export interface SavedFilter {
  readonly name: string;
  readonly query: string;
}
