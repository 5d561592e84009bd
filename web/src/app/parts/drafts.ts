/** Every draft of this page that is open or not saved yet. They outlive the page of their exam. */

import { asProblem } from "../api/problem";
import type { ReadingsApi } from "../api/readings";
import { type DraftDesks, makeDraftDesks } from "../logic/draft_desk";

export interface Drafts {
  readonly reading: DraftDesks;
  readonly arbitration: DraftDesks;
}

/** Another window, or another person, has changed what is saved here. */
const CONFLICTS = ["stale", "locked", "already_signed", "in_arbitration"];
const kept = new WeakMap<ReadingsApi, Drafts>();

export function draftsOf(api: ReadingsApi): Drafts {
  const known = kept.get(api);
  if (known !== undefined) return known;
  const explain = (error: unknown) => {
    const problem = asProblem(error);
    const isConflict = CONFLICTS.includes(problem.code);
    return { message: problem.message, isPassing: problem.isPassing, isConflict };
  };
  const shared = { show: api.show, save: api.save, explain };
  const made = {
    reading: makeDraftDesks({ ...shared, open: api.open }),
    arbitration: makeDraftDesks({ ...shared, open: api.arbitrate }),
  };
  kept.set(api, made);
  window.addEventListener("beforeunload", (event) => {
    const unsaved = [...made.reading.unsaved(), ...made.arbitration.unsaved()];
    if (unsaved.length > 0) event.preventDefault();
  });
  return made;
}
