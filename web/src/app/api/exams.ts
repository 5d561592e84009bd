/** Exams: the worklist, one exam for the viewer, a patient's list, what a person saved. */

import type { AiResult, Exam } from "../../viewer/exam";
import { API, type Client, queryOf } from "./client";
import { problemOf } from "./problem";
import type { AiDetail, ExamDetail, ExamRow, Id, Page, SavedFilter } from "./types";

export const examUrl = (id: Id) => `${API}/exams/${id}`;
export const PAGE_SIZE = 50;

export type ListQuery = Readonly<Record<string, string | null>>;

export function examsApi(client: Client) {
  return {
    list: (query: ListQuery, cursor: string | null, signal?: AbortSignal) =>
      client.call<Page<ExamRow>>(
        "GET",
        `/exams${queryOf({ ...query, limit: PAGE_SIZE, cursor })}`,
        signal ? { signal } : {},
      ),
    show: (id: Id) => client.call<ExamDetail>("GET", `/exams/${id}`),
    ofPatient: (key: string) =>
      client.call<Page<ExamRow>>("GET", `/patients/${encodeURIComponent(key)}/exams`),
    setSite: (id: Id, site_id: Id) =>
      client.call<void>("PUT", `/exams/${id}/site`, { body: { site_id } }),
    filters: () => client.call<{ filters: readonly SavedFilter[] }>("GET", "/me/filters"),
    saveFilters: (filters: readonly SavedFilter[]) =>
      client.call<void>("PUT", "/me/filters", { body: { filters } }),
    settings: () => client.call<Record<string, unknown>>("GET", "/me/settings"),
    saveSettings: (settings: Readonly<Record<string, unknown>>) =>
      client.call<void>("PUT", "/me/settings", { body: settings }),
    withAi: async (detail: ExamDetail) => viewerExam(detail, await aiOf(client, detail)),
    /** An exam as the viewer wants it, with the AI's marks where this person may see them. */
    forViewer: async (url: string): Promise<Exam> => {
      const response = await client.fetch(url, { headers: { Accept: "application/json" } });
      if (!response.ok) throw await problemOf(response);
      const detail: ExamDetail = await response.json();
      return viewerExam(detail, await aiOf(client, detail));
    },
  };
}

/** What the viewer shows of the AI. Where it may not or cannot be had, the reason stands there. */
async function aiOf(client: Client, detail: ExamDetail): Promise<AiResult> {
  const { ai, ai_hidden } = detail;
  if (ai_hidden) return { state: "withheld" };
  if (ai === null) {
    const isPending = detail.status === "waiting" || detail.status === "analysing";
    return { state: isPending ? "pending" : "none" };
  }
  if (ai.category === "failed" || ai.category === "withheld" || ai.score === null) {
    return { state: "failed", reason: ai.failure ?? ai.doubts.join("; ") };
  }
  const response = await client.fetch(`${examUrl(detail.id)}/ai`);
  if (response.status === 403) return { state: "withheld" };
  if (!response.ok) return { state: "failed", reason: (await problemOf(response)).message };
  const { images }: AiDetail = await response.json();
  return {
    state: "available",
    model: ai.model,
    category: ai.category,
    malignant: ai.score,
    prevalence: ai.prevalence ?? Number.NaN,
    images,
  };
}

export function viewerExam(detail: ExamDetail, ai: AiResult): Exam {
  const { patient } = detail;
  return {
    id: String(detail.id),
    studyInstanceUid: detail.study_instance_uid,
    patient: {
      name: patient.name,
      id: patient.id,
      birthDate: patient.birth_date,
      ageYears: patient.age_years,
    },
    accessionNumber: detail.accession_number,
    date: detail.study_date ?? detail.images.find(({ date }) => date !== null)?.date ?? null,
    images: detail.images,
    refused: detail.refused ?? [],
    priors: detail.priors.map((prior) => ({
      id: String(prior.exam_id),
      date: prior.study_date,
      url: examUrl(prior.exam_id),
    })),
    ai,
    doubts: detail.ai_hidden ? [] : (detail.ai?.doubts ?? []),
    banner: detail.banner ?? null,
  };
}
