/** Readings of people, arbitration, second opinions, urgent notices and recalls. */

import { API, type Client, queryOf } from "./client";
import { problemOf } from "./problem";
import type { Answers, Id, Notice, Opinion, Page, Reading, Recall } from "./types";

export type ReportFormat = "html" | "pdf";

export function readingsApi(client: Client) {
  const at = (id: Id) => `/readings/${id}`;
  async function withTag(
    method: "POST" | "PUT",
    path: string,
    reading: Pick<Reading, "etag">,
    body?: unknown,
  ): Promise<Reading> {
    const response = await client.send(method, path, { ifMatch: reading.etag, body });
    if (!response.ok) throw await problemOf(response);
    return taggedReading(response);
  }
  return {
    open: async (exam: Id) => {
      const response = await client.send("POST", `/exams/${exam}/readings`);
      if (!response.ok) throw await problemOf(response);
      return taggedReading(response);
    },
    show: async (id: Id) => {
      const response = await client.send("GET", at(id));
      if (!response.ok) throw await problemOf(response);
      return taggedReading(response);
    },
    save: (reading: Reading, answers: Answers) => withTag("PUT", at(reading.id), reading, answers),
    lock: (reading: Reading) => withTag("POST", `${at(reading.id)}/lock`, reading),
    revise: (reading: Reading, agree: boolean, changes: Answers | null) =>
      withTag("POST", `${at(reading.id)}/revise`, reading, { agree, changes }),
    sign: (reading: Reading) => withTag("POST", `${at(reading.id)}/sign`, reading),
    addAddendum: (reading: Reading, text: string) =>
      withTag("POST", `${at(reading.id)}/addenda`, reading, { text }),
    arbitrate: (exam: Id) => client.call<Reading>("POST", `/exams/${exam}/arbitration`),
    askOpinion: (exam: Id, person_id: Id) =>
      client.call<void>("POST", `/exams/${exam}/opinions`, { body: { person_id } }),
    opinions: async () => itemsOf(await client.call<Listed<Opinion>>("GET", "/opinions")),
    reportUrl: (id: Id, format: ReportFormat, lang: string) =>
      `${API}${at(id)}/report${queryOf({ format, lang })}`,
    exportUrl: (id: Id, kind: "sr" | "gsps" | "fhir" | "hl7") => `${API}${at(id)}/${kind}`,
  };
}

export function followUpApi(client: Client) {
  return {
    notices: async () => itemsOf(await client.call<Listed<Notice>>("GET", "/notices")),
    acknowledge: (id: Id) => client.call<void>("POST", `/notices/${id}/acknowledgement`),
    recalls: async () => itemsOf(await client.call<Listed<Recall>>("GET", "/recalls")),
    close: (id: Id, reason: string) =>
      client.call<void>("PATCH", `/recalls/${id}`, { body: { closed: true, reason } }),
  };
}

type Listed<T> = readonly T[] | Page<T>;

function itemsOf<T>(listed: Listed<T>): readonly T[] {
  return "items" in listed ? listed.items : listed;
}

/** The tag of a reading is in the answer's ETag header, and in its body. */
async function taggedReading(response: Response): Promise<Reading> {
  const reading: Reading = await response.json();
  return { ...reading, etag: response.headers.get("ETag") ?? reading.etag };
}

export type ReadingsApi = ReturnType<typeof readingsApi>;
