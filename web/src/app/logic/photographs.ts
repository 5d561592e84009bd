/** Photographs of films on a light box: what a person says of them, and why one is refused. Pure. */

/** Places for photographs, in the order in which films are hung. */
export const FILM_VIEWS = ["RCC", "LCC", "RMLO", "LMLO"] as const;
export type FilmView = (typeof FILM_VIEWS)[number];

/**
 * Change of the AUC by photographing, on simulated photographs of the level "usual", with its 95 %
 * interval: docs/evidence/photographs.md has the table and its command.
 */
export const AUC_CHANGE = { images: 202, value: 0.025, low: -0.013, high: 0.063 } as const;

/** Further metadata of an upload: it is a photograph of this view, patient and day. */
export function photographFacts(
  view: FilmView,
  patient: string,
  examDate: string,
): Readonly<Record<string, string>> {
  return { photograph: view, patient: patient.trim(), examDate };
}

/** No X-ray film of a breast is older, and none is of tomorrow. As the server has it. */
const FIRST_DAY = "1900-01-01";

/** Whether films can be of this day (YYYY-MM-DD), by the clock of this place. */
export function isFilmDay(day: string, now: Date): boolean {
  return /^\d{4}-\d{2}-\d{2}$/.test(day) && day >= FIRST_DAY && day <= dayOf(now);
}

/** By the clock of this place, not by UTC. */
export function dayOf(now: Date): string {
  const two = (part: number) => String(part).padStart(2, "0");
  return `${now.getFullYear()}-${two(now.getMonth() + 1)}-${two(now.getDate())}`;
}

const HEIC = /\.(heic|heif|avif)$/i;

/** What the server reads as it is. */
export function isPlainPicture(file: { readonly type: string; readonly name: string }): boolean {
  return /^image\/(jpeg|png)$/.test(file.type) && !HEIC.test(file.name);
}

/** `glare,blurred` → the words of the server, or none if the reason is something else. */
export function faultsIn(reason: string | null): readonly string[] {
  const words = (reason ?? "").split(",");
  return words.every((word) => FAULTS.includes(word)) ? words : [];
}

const FAULTS: readonly string[] = [
  "edges_not_found",
  "several_films",
  "not_a_film",
  "perspective",
  "low_resolution",
  "blurred",
  "glare",
];
