/** Exams: the worklist, one exam for the page and the viewer, a patient's list, what is saved. */

import type { Exam } from "../../viewer/exam";
import { API, type Client, queryOf } from "./client";
import { problemOf } from "./problem";
import type {
  Artefact,
  Clinical,
  ExamDetail,
  ExamQuality,
  ExamRow,
  Id,
  Page,
  SavedFilter,
} from "./types";

/** Where the viewer reads an exam. */
export const viewerUrl = (id: Id) => `${API}/exams/${id}/viewer`;
/** The same, for the audit trail as a look-back. */
export const lookBackUrl = (id: Id) => `${viewerUrl(id)}?look_back=true`;
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
    quality: (id: Id) => client.call<ExamQuality>("GET", `/exams/${id}/quality`),
    artefacts: (id: Id) => client.call<readonly Artefact[]>("GET", `/exams/${id}/artefacts`),
    clinical: (id: Id) => client.call<Clinical>("GET", `/exams/${id}/clinical`),
    stateClinical: (
      id: Id,
      items: readonly { name: string; value: string; date: string | null }[],
    ) => client.call<Clinical>("PUT", `/exams/${id}/clinical`, { body: { items } }),
    ofPatient: (key: string) =>
      client.call<readonly ExamRow[]>("GET", `/patients/${encodeURIComponent(key)}/exams`),
    setSite: (id: Id, site_id: Id, before: Id | null) =>
      client.call<ExamRow>("PUT", `/exams/${id}/site`, { body: { site_id, before } }),
    filters: async () =>
      (await client.call<readonly SavedFilter[] | null>("GET", "/me/filters")) ?? [],
    saveFilters: (filters: readonly SavedFilter[]) =>
      client.call<void>("PUT", "/me/filters", { body: filters }),
    /** An exam as the viewer shows it, with as much of the AI as this person may see now. */
    forViewer: async (url: string): Promise<Exam> => {
      const response = await client.fetch(url, { headers: { Accept: "application/json" } });
      if (!response.ok) throw await problemOf(response);
      return response.json();
    },
  };
}
