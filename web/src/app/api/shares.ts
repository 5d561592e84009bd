/** Links to signed reports for referring doctors, and the consents of patients. */

import type { Client } from "./client";
import type { Id } from "./types";

export interface Share {
  readonly id: Id;
  readonly reading_id: Id;
  readonly made_by: string;
  readonly created_at: string;
  readonly expires_at: string;
  readonly revoked_at: string | null;
  readonly opened_at: string | null;
  readonly openings: number;
  readonly is_locked: boolean;
}

/** Link and code are given once. */
export interface NewShare {
  readonly share: Share;
  readonly token: string;
  readonly code: string;
}

export interface KeptConsent {
  readonly name: string;
  readonly patient_id: string;
  readonly birth_year: number;
  readonly text_version: string;
  readonly language: string;
  readonly given_at: string;
  readonly asked_by: string;
  readonly received_at: string;
}

export function sharesApi(client: Client) {
  const at = (exam: Id) => `/exams/${exam}/shares`;
  return {
    list: (exam: Id) => client.call<readonly Share[]>("GET", at(exam)),
    make: (exam: Id, reading_id: Id) =>
      client.call<NewShare>("POST", at(exam), { body: { reading_id } }),
    revoke: (exam: Id, id: Id) => client.call<void>("DELETE", `${at(exam)}/${id}`),
    consents: (exam: Id) => client.call<readonly KeptConsent[]>("GET", `/exams/${exam}/consents`),
  };
}

export type SharesApi = ReturnType<typeof sharesApi>;
