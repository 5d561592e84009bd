/** The answers of the person who is signed in to the exam that is open. */

import { useEffect, useMemo, useSyncExternalStore } from "react";
import type { Reading } from "../../api/types";
import type { DraftDesk, DraftSnapshot } from "../../logic/draft_desk";
import { useDesk } from "../../parts/app_context";
import { draftsOf } from "../../parts/drafts";
import type { ExamFacts } from "./use_exam";

export interface Draft {
  readonly desk: DraftDesk;
  readonly snapshot: DraftSnapshot;
  /** Readings of other people that this person may see. */
  readonly others: readonly Reading[];
}

export function useDraft(exam: number, facts: ExamFacts | null, isArbitration: boolean): Draft {
  const { apis, person } = useDesk();
  const desks = draftsOf(apis.readings)[isArbitration ? "arbitration" : "reading"];
  const desk = desks.of(exam);
  const snapshot = useSyncExternalStore(desk.subscribe, () => desk.snapshot);
  useEffect(() => () => desks.leave(exam), [desks, exam]);

  const readings = facts?.readings ?? NONE;
  // The newest: an exam whose pictures changed is read again.
  const mine = readings.findLast(
    (one) => one.person.id === person.id && (one.role === "arbiter") === isArbitration,
  );
  useEffect(() => {
    if (mine !== undefined) desk.adopt(mine);
  }, [desk, mine]);
  const others = useMemo(() => {
    if (facts?.dispute) return [facts.dispute.first, facts.dispute.second];
    return (facts?.readings ?? NONE).filter((one) => one.person.id !== person.id);
  }, [facts, person.id]);
  return { desk, snapshot, others };
}

const NONE: readonly Reading[] = [];
