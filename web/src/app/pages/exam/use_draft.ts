/** The answers of the person who is signed in to the exam that is open. */

import { useEffect, useMemo, useSyncExternalStore } from "react";
import { asProblem } from "../../api/problem";
import type { ReadingsApi } from "../../api/readings";
import type { ExamDetail, Reading } from "../../api/types";
import {
  type DraftDesk,
  type DraftDesks,
  type DraftSnapshot,
  makeDraftDesks,
} from "../../logic/draft_desk";
import { useDesk } from "../../parts/app_context";

export interface Draft {
  readonly desk: DraftDesk;
  readonly snapshot: DraftSnapshot;
  /** Readings of other people that this person may see. */
  readonly others: readonly Reading[];
}

const CONFLICTS = [409, 412, 428];
const kept = new WeakMap<ReadingsApi, { reading: DraftDesks; arbitration: DraftDesks }>();

function desksOf(api: ReadingsApi): { reading: DraftDesks; arbitration: DraftDesks } {
  const known = kept.get(api);
  if (known !== undefined) return known;
  const explain = (error: unknown) => {
    const problem = asProblem(error);
    const isConflict = CONFLICTS.includes(problem.status);
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

export function useDraft(exam: number, detail: ExamDetail | null, isArbitration: boolean): Draft {
  const { apis, person } = useDesk();
  const desks = desksOf(apis.readings)[isArbitration ? "arbitration" : "reading"];
  const desk = desks.of(exam);
  const snapshot = useSyncExternalStore(desk.subscribe, () => desk.snapshot);
  useEffect(() => () => desks.leave(exam), [desks, exam]);

  const readings = detail?.id === exam ? detail.readings : NONE;
  const mine = readings.find(
    (one) => one.person.id === person.id && (one.role === "arbiter") === isArbitration,
  );
  useEffect(() => {
    if (mine !== undefined) desk.adopt(mine);
  }, [desk, mine]);
  const others = useMemo(
    () => readings.filter((one) => one.person.id !== person.id),
    [readings, person.id],
  );
  return { desk, snapshot, others };
}

const NONE: readonly Reading[] = [];
