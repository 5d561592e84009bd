/** Readings of people, arbitration, second opinions, urgent notices and recalls. */

import { API, type Client, type Method, queryOf } from "./client";
import type { Answers, Dispute, Id, Named, Notice, Opinion, Page, Reading, Recall } from "./types";

export type ReportFormat = "html" | "pdf";
type Before = Id | null;
/** A reading as somebody has it before them. `once` names a request that may be sent twice. */
type Edition = Pick<Reading, "id" | "etag">;

export function readingsApi(client: Client) {
  const at = (id: Id) => `/readings/${id}`;
  const change = (method: Method, path: string, { etag }: Edition, body?: unknown, once?: string) =>
    client.call<Reading>(method, path, {
      ifMatch: etag,
      body,
      ...(once !== undefined && { idempotencyKey: once }),
    });
  return {
    /** Opens the reading of whoever calls, which is made if there is none yet. */
    open: (exam: Id) => client.call<Reading>("POST", `/exams/${exam}/readings`),
    arbitrate: (exam: Id) => client.call<Reading>("POST", `/exams/${exam}/arbitration`),
    list: (exam: Id) => client.call<readonly Reading[]>("GET", `/exams/${exam}/readings`),
    show: (id: Id) => client.call<Reading>("GET", at(id)),
    save: (reading: Edition, answers: Answers, once?: string) =>
      change("PUT", at(reading.id), reading, answers, once),
    lock: (reading: Edition, once?: string) =>
      change("POST", `${at(reading.id)}/lock`, reading, undefined, once),
    revise: (reading: Edition, changes: Answers | null, once?: string) =>
      change(
        "POST",
        `${at(reading.id)}/revise`,
        reading,
        { agree: changes === null, changes },
        once,
      ),
    /** Says which version of the exam the reader has looked at. */
    look: (reading: Reading, exam_version: number) =>
      change("POST", `${at(reading.id)}/look`, reading, { exam_version }),
    sign: (reading: Edition, once?: string) =>
      change("POST", `${at(reading.id)}/sign`, reading, undefined, once),
    addAddendum: (reading: Pick<Reading, "id">, text: string, once?: string) =>
      client.call<Reading>("POST", `${at(reading.id)}/addenda`, {
        body: { text },
        ...(once !== undefined && { idempotencyKey: once }),
      }),
    dispute: (exam: Id) => client.call<Dispute>("GET", `/exams/${exam}/arbitration`),
    /** Readers of the installation who may be asked for an opinion. */
    colleagues: () => client.call<Page<Named, Id>>("GET", "/readers?limit=200"),
    askOpinion: (exam: Id, person_id: Id, question: string) =>
      client.call<Opinion>("POST", `/exams/${exam}/opinions`, { body: { person_id, question } }),
    opinions: (before: Before = null) =>
      client.call<Page<Opinion, Id>>("GET", `/opinions${queryOf({ before })}`),
    endOpinion: (id: Id) => client.call<void>("DELETE", `/opinions/${id}`),
    /** In the language of the site: the referrer reads it, not the person at this page. */
    reportUrl: (id: Id, format: ReportFormat) => `${API}${at(id)}/report${queryOf({ format })}`,
    exportUrl: (id: Id, kind: "sr" | "gsps" | "fhir" | "hl7") => `${API}${at(id)}/${kind}`,
  };
}

export function followUpApi(client: Client) {
  return {
    notices: (before: Before) =>
      client.call<Page<Notice, Id>>("GET", `/notices${queryOf({ before })}`),
    openNotices: () => client.call<Page<Notice, Id>>("GET", "/notices?open=true"),
    acknowledge: (id: Id) => client.call<Notice>("POST", `/notices/${id}/acknowledgement`),
    recalls: (before: Before, isOpen: boolean) =>
      client.call<Page<Recall, Id>>("GET", `/recalls${queryOf({ before, open: String(isOpen) })}`),
    close: (id: Id, reason: string) =>
      client.call<Recall>("PATCH", `/recalls/${id}`, { body: { closed: true, reason } }),
  };
}

/** Whoever has answered with problems of these codes must look at the exam again. */
export const LOOK_AGAIN = ["exam_changed", "ai_changed"];

export type ReadingsApi = ReturnType<typeof readingsApi>;
