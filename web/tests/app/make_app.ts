/** Small exams, readings and people for tests. */

import type { Answers, ExamRow, Person, Reading } from "../../src/app/api/types";
import { NO_ANSWERS } from "../../src/app/logic/answers";

export function makeRow(changes: Partial<ExamRow> = {}): ExamRow {
  return {
    id: 1,
    study_instance_uid: "1.2.3",
    accession_number: "A1",
    patient: {
      id: "S-1",
      name: "Sample^Ann",
      key: "1-a",
      birth_date: "1960-01-01",
      age_years: 66,
      sex: "F",
    },
    site: { id: 1, name: "North" },
    received_at: "2026-10-01T08:00:00Z",
    study_date: "2026-10-01",
    views: ["RCC", "LCC", "RMLO", "LMLO"],
    complete: true,
    refused: 0,
    ai: null,
    ai_hidden: false,
    status: "new",
    reader: null,
    has_priors: false,
    version: 1,
    revision: null,
    ...changes,
  };
}

export const ANSWERED: Answers = {
  ...NO_ANSWERS,
  assessments: { right: { birads: "1" }, left: { birads: "2" } },
  recall: false,
};

export function makeReading(changes: Partial<Reading> = {}): Reading {
  return {
    ...NO_ANSWERS,
    id: 5,
    exam_id: 1,
    person: { id: 7, name: "Rita Reader" },
    role: "reader",
    slot: null,
    state: "draft",
    mode: "second_reader",
    exam_version: 1,
    blinded: null,
    first_answer: null,
    after_ai: null,
    signed_at: null,
    addenda: [],
    etag: '"1"',
    ...changes,
  };
}

export function makePerson(changes: Partial<Person> = {}): Person {
  return {
    id: 7,
    name: "rita",
    display_name: "Rita Reader",
    is_administrator: false,
    is_active: true,
    by_provider: false,
    must_change_password: false,
    has_second_factor: true,
    created_at: "2026-01-01T00:00:00Z",
    roles: [{ site: 1, role: "reader" }],
    ...changes,
  };
}
