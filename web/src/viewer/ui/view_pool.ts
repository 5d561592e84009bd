/**
 * The films that are in memory: at most `MOST_VIEWS`, whatever number of exams is opened.
 *
 * A whole film with its pyramid takes some 35 MB. Eight are as many as a step can show (four views
 * beside their priors); what a step does not show is kept for the steps to come.
 */

import type { FilmView } from "./film_view";

export const MOST_VIEWS = 8;

export interface ViewPool {
  /**
   * The views for some pictures, by SOP Instance UID, in the same order. Views of other pictures of
   * the exam are kept; those of other exams are used again.
   */
  take(uids: readonly string[], exam: ReadonlySet<string>): readonly FilmView[];
  /** Starts workers before they are needed: that takes longer than fetching a preview. */
  warm(count: number): void;
  readonly views: readonly FilmView[];
  dispose(): void;
}

export function makeViewPool(make: () => FilmView): ViewPool {
  // The least recently shown first.
  let views: FilmView[] = [];

  function forOne(uid: string, taken: ReadonlySet<FilmView>, kept: ReadonlySet<string>): FilmView {
    const free = views.filter((view) => !taken.has(view));
    const ready = free.find((view) => view.holds === uid);
    const spare = free.find((view) => view.holds === null || !kept.has(view.holds));
    if (ready !== undefined || spare !== undefined) return (ready ?? spare) as FilmView;
    if (views.length >= MOST_VIEWS) return free[0];
    const made = make();
    views.push(made);
    return made;
  }

  const rank = (uid: string) => (views.some((view) => view.holds === uid) ? 1 : 0);

  return {
    take(uids, exam) {
      const shown = uids.slice(0, MOST_VIEWS);
      const taken = new Set<FilmView>();
      // First those that are ready: else one of them could be given to another picture.
      const found = new Map<string, FilmView>();
      for (const uid of [...shown].sort((a, b) => rank(b) - rank(a))) {
        const view = forOne(uid, taken, exam);
        taken.add(view);
        found.set(uid, view);
      }
      views = [...views.filter((view) => !taken.has(view)), ...taken];
      return shown.map((uid) => found.get(uid) as FilmView);
    },
    warm(count) {
      while (views.length < Math.min(count, MOST_VIEWS)) views.push(make());
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
