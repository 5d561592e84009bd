/** Answers that cannot be saved for want of a line are kept on this device, also after a restart. */

import { useEffect, useRef } from "react";
import { answersIn, draftId, type ReadingItem } from "../../device/queue_items";
import { NO_ANSWERS, sameAnswers } from "../../logic/answers";
import { keyOfAnswers } from "../../logic/request_keys";
import { useDesk } from "../../parts/app_context";
import { useDevice, useQueued } from "../../parts/use_device";
import type { Draft } from "./use_draft";
import type { ExamFacts } from "./use_exam";

export function useKeptDraft(facts: ExamFacts | null, draft: Draft): void {
  const { apis } = useDesk();
  const device = useDevice();
  const { desk, snapshot } = draft;
  const exam = facts?.detail.id ?? 0;
  const kept = useQueued(exam).find((item) => item.id === draftId(exam));
  const taken = useRef<number | null>(null);

  // What an earlier start has left goes on in the form, if the server still has what it began from.
  useEffect(() => {
    if (facts === null || kept === undefined || taken.current === exam) return;
    const answers = answersIn(kept);
    if (kept.state !== "waiting" || answers === null || !continues(kept, snapshot)) return;
    taken.current = exam;
    desk.change(answers);
  }, [facts, kept, exam, desk, snapshot]);

  const { answers, reading, save } = snapshot;
  useEffect(() => {
    if (facts === null || device.vault === null) return;
    if (save.kind === "failed") {
      taken.current = exam;
      const { detail } = facts;
      const step = { key: keyOfAnswers(answers), act: "save", answers } as const;
      const item: ReadingItem = {
        kind: "reading",
        id: draftId(exam),
        createdAt: Date.now(),
        state: "waiting",
        code: null,
        exam,
        title: detail.accession_number ?? String(exam),
        version: detail.version,
        revision: detail.revision,
        reading: reading && { id: reading.id, etag: reading.etag },
        steps: [step],
        taken: 0,
      };
      void apis.outbox.add(item).catch(() => undefined);
    } else if (save.kind === "saved" && taken.current === exam && desk.isClean) {
      void apis.outbox.discard(draftId(exam)).catch(() => undefined);
    }
  }, [apis, device, facts, exam, answers, reading, save.kind, desk]);
}

function continues(kept: ReadingItem, { reading, answers }: Draft["snapshot"]): boolean {
  if (reading === null) return kept.reading === null;
  if (reading.state !== "draft") return false;
  return kept.reading === null
    ? sameAnswers(answers, NO_ANSWERS)
    : reading.etag === kept.reading.etag;
}
