/**
 * What the server's REST API (`/api/v1`) takes and gives. Types only; times are ISO 8601 in UTC.
 * Unknown is `null` here too: it is never a guess.
 */

import type { Point } from "../../viewer/exam";
import type { Descriptors } from "../../viewer/tools/descriptors";

export type * from "./beside_types";

export type Id = number;
export type Role = "uploader" | "reader" | "arbiter" | "administrator" | "health_worker";
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
  readonly reading_mode: ReadingMode;
  readonly order: Order;
  readonly double_reading: boolean;
  /** Urgent findings are announced by e-mail. */
  readonly notice_mail: boolean;
  readonly language: string;
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
  readonly score_text: string | null;
  readonly prevalence: number | null;
  readonly doubts: readonly string[];
  readonly failure: string | null;
  readonly model: string;
  /** An image is a photograph of a film: the exam is never low. */
  readonly from_photograph: boolean;
  readonly notice: string;
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
    /** Finds the exams of the same patient at the same site. */
    readonly key: string | null;
    readonly birth_date: string | null;
    readonly age_years: number | null;
    readonly sex: string | null;
  };
  readonly site: Named | null;
  readonly received_at: string;
  readonly study_date: string | null;
  readonly views: readonly string[];
  readonly complete: boolean;
  /** Objects of the study that were not taken. */
  readonly refused: number;
  readonly ai: AiSummary | null;
  readonly ai_hidden: boolean;
  readonly status: ExamStatus;
  readonly reader: Named | null;
  readonly has_priors: boolean;
  /** Grows with the images that come. */
  readonly version: number;
  /** Grows with the results; null: there is none yet. */
  readonly revision: number | null;
  readonly banner?: string | null;
}

/** A file that the node made of the newest result. */
export interface Artefact {
  readonly sink: string;
  readonly name: string;
  readonly media_type: string;
  readonly size: number;
  readonly revision: number;
  readonly created_at: string;
  readonly url: string;
}

export interface Page<T, Cursor = string> {
  readonly items: readonly T[];
  readonly next: Cursor | null;
  readonly total?: number | null;
}

export interface ExamDetail extends ExamRow {
  readonly mode: ReadingMode;
  readonly viewer_url: string;
  readonly priors: readonly ExamRow[];
}

export type Density = "a" | "b" | "c" | "d";
export type BiRads = "0" | "1" | "2" | "3" | "4" | "5" | "6";
export type Breast = "right" | "left";

export interface ReadingMark {
  readonly id: string | null;
  readonly image: string;
  readonly frame: number;
  readonly shape: "point" | "ellipse" | "arrow" | "text" | "length";
  readonly points_source_px: readonly Point[];
  readonly descriptors: Descriptors | null;
  readonly birads: BiRads | null;
  readonly text: string;
  readonly length_mm: number | null;
  readonly spacing_source: string | null;
}

/** What a reader answers. */
export interface Answers {
  readonly density: Readonly<Record<Breast, Density | null>>;
  readonly assessments: Readonly<Record<Breast, { readonly birads: BiRads | null }>>;
  readonly recall: boolean | null;
  readonly findings: readonly ReadingMark[];
  readonly comment: string;
  /** What the referrer must know at once. */
  readonly urgent: string;
}

export type ReadingRole = "reader" | "arbiter" | "opinion";
export type ReadingSlot = "first" | "second" | "arbiter";

export interface Addendum {
  readonly id: Id;
  readonly text: string;
  readonly person: Named;
  readonly created_at: string;
}

/** The fields of the answer are those of the answer as it is now. */
export interface Reading extends Answers {
  readonly id: Id;
  readonly exam_id: Id;
  readonly person: Named;
  readonly role: ReadingRole;
  /** As what it was signed. */
  readonly slot: ReadingSlot | null;
  readonly state: "draft" | "locked" | "signed";
  readonly mode: ReadingMode;
  /** Version of the exam that the reader has looked at. */
  readonly exam_version: number;
  /** The first answer was given without the AI. */
  readonly blinded: boolean | null;
  readonly first_answer: Answers | null;
  readonly after_ai: { readonly agreed: boolean; readonly at: string } | null;
  readonly signed_at: string | null;
  readonly addenda: readonly Addendum[];
  readonly etag: string;
}

/** Two readings side by side, and what they differ in. */
export interface Dispute {
  readonly exam_id: Id;
  readonly first: Reading;
  readonly second: Reading;
  readonly differences: readonly string[];
}

export interface Opinion {
  readonly id: Id;
  readonly exam_id: Id;
  readonly patient_name?: string | null;
  readonly person: Named;
  readonly asked_by: Named;
  readonly question: string;
  readonly created_at: string;
  readonly ended_at: string | null;
  readonly reading_id: Id | null;
  readonly state: Reading["state"] | null;
}

export interface Notice {
  readonly id: Id;
  readonly exam_id: Id;
  readonly patient_name?: string | null;
  readonly accession_number: string | null;
  readonly patient_id: string | null;
  readonly person: Named;
  readonly text: string;
  readonly created_at: string;
  readonly acknowledged_at: string | null;
  readonly acknowledged_by: string | null;
}

export interface Recall {
  readonly id: Id;
  readonly exam_id: Id;
  readonly patient_name?: string | null;
  readonly reading_id: Id;
  readonly accession_number: string | null;
  readonly patient_id: string | null;
  readonly created_at: string;
  readonly closed_at: string | null;
  readonly closed_by: string | null;
  readonly reason: string | null;
}

/** Where messages to a person go; whether the server can send any. */
export interface EmailView {
  readonly email: string | null;
  readonly can_send: boolean;
}

export interface AuditEntry {
  readonly number: Id;
  readonly at: string;
  readonly actor: string;
  readonly action: string;
  readonly exam_id: Id | null;
  readonly detail: Readonly<Record<string, unknown>>;
}

export interface Verification {
  readonly sound: boolean;
  readonly length: number;
  readonly broken_at: number | null;
  readonly reason: string | null;
}

export interface UploadedMember {
  readonly name: string;
  readonly outcome: string;
  /** Why it was rejected. */
  readonly reason: string | null;
  readonly exam_id: Id | null;
}

/** One entry of the saved filters of a person. */
export interface SavedFilter {
  readonly name: string;
  readonly query: string;
}
