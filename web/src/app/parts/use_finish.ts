/** Locking and signing: over the line, or kept on this device until there is one. */

import { Problem } from "../api/problem";
import type { ExamDetail, Reading } from "../api/types";
import { orFull } from "../device/full";
import { newId, type ReadingItem, type ReadingStep } from "../device/queue_items";
import { nameWords } from "../logic/times";
import { useDesk } from "./app_context";

/** What is left to be sent when the line breaks. */
export interface Rest {
  readonly reading: Pick<Reading, "id" | "etag"> | null;
  readonly steps: readonly ReadingStep[];
}

export interface Finish {
  /**
   * Does something over the line; without one it keeps the rest, and gives null. Whether the last
   * request has arrived may be unknown: the rest repeats it under the same name.
   */
  orKeep(act: () => Promise<Reading>, rest: () => Rest): Promise<Reading | null>;
}

/** The line is cut, or a proxy stands before a server that is away. */
const AWAY = [0, 502, 503, 504];

const isAway = (error: unknown) => error instanceof Problem && AWAY.includes(error.status);

export function useFinish(detail: ExamDetail): Finish {
  const { apis, words, announce } = useDesk();
  return {
    async orKeep(act, rest) {
      try {
        return await act();
      } catch (error) {
        if (!isAway(error) || apis.device.vault === null) throw error;
        const { reading, steps } = rest();
        const item: ReadingItem = {
          kind: "reading",
          id: newId(),
          createdAt: Date.now(),
          state: "waiting",
          code: null,
          exam: detail.id,
          title: [nameWords(detail.patient.name), detail.accession_number]
            .filter(Boolean)
            .join(", "),
          version: detail.version,
          revision: detail.revision,
          reading: reading && { id: reading.id, etag: reading.etag },
          steps,
          taken: 0,
        };
        await orFull(() => apis.outbox.add(item));
        announce(words.say("queue.kept"), "warning");
        return null;
      }
    },
  };
}
