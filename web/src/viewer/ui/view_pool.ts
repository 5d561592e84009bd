/**
 * The films that are in memory: at most `MOST_VIEWS`, whatever number of exams is opened.
 *
 * A whole film with its pyramid takes some 35 MB. Eight are as many as a step can show (four views
 * beside their priors); what a step does not show is kept for the steps to come.
 */

import type { FilmView } from "./film_view";

export const MOST_VIEWS = 8;

export interface ViewPool {
  /** The views for some pictures, by SOP Instance UID, in the same order; the others stay as they are. */
  take(uids: readonly string[]): readonly FilmView[];
  readonly views: readonly FilmView[];
  dispose(): void;
}

export function makeViewPool(make: () => FilmView): ViewPool {
  // The least recently shown first.
  let views: FilmView[] = [];

  function forOne(uid: string, needed: readonly string[], taken: ReadonlySet<FilmView>): FilmView {
    const free = (view: FilmView) => !taken.has(view);
    const same = views.find((view) => free(view) && view.holds === uid);
    if (same !== undefined) return same;
    const empty = views.find((view) => free(view) && view.holds === null);
    if (empty !== undefined) return empty;
    if (views.length < MOST_VIEWS) {
      const made = make();
      views.push(made);
      return made;
    }
    const old = views.find((view) => free(view) && !needed.includes(view.holds ?? ""));
    return old ?? (views.find(free) as FilmView);
  }

  return {
    take(uids) {
      const taken = new Set<FilmView>();
      for (const uid of uids.slice(0, MOST_VIEWS)) taken.add(forOne(uid, uids, taken));
      const shown = [...taken];
      views = [...views.filter((view) => !taken.has(view)), ...shown];
      return shown;
    },
    get views() {
      return views;
    },
    dispose() {
      for (const view of views) view.dispose();
      views = [];
    },
  };
}
