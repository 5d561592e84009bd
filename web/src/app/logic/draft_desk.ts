/**
 * A reader's answers to one exam: kept in memory, sent to the server as a draft, taken on from there.
 *
 * The reading begins at the server with the first answer, not with a look at the exam. What could
 * not be sent stays here, also when the reader goes to another page.
 */

import type { Answers, Reading } from "../api/types";
import { answersOf, NO_ANSWERS, sameAnswers } from "./answers";
import { keyOfAnswers } from "./request_keys";
import { makeSaver, type SaveFailure, type Saver, type SaveState } from "./saver";

export interface DraftApi {
  open(exam: number): Promise<Reading>;
  show(id: number): Promise<Reading>;
  /** @param once the name of the request: sent again after a broken line, it counts once */
  save(reading: Reading, answers: Answers, once?: string): Promise<Reading>;
  explain(error: unknown): SaveFailure;
}

export interface DraftSnapshot {
  /** As the server has it; null: not begun. */
  readonly reading: Reading | null;
  /** As the reader sees them. */
  readonly answers: Answers;
  readonly save: SaveState;
  /** After the lock: the reader changes the answer in view of the AI. */
  readonly isRevising: boolean;
  /** Counts how often answers came from the server, so that marks are shown again. */
  readonly arrivals: number;
}

export interface DraftDesk {
  readonly snapshot: DraftSnapshot;
  subscribe(listener: () => void): () => void;
  /** The server's state of this reading. Answers that are not saved yet are not overwritten. */
  adopt(reading: Reading): void;
  /** The answer to lock, revise or sign: it takes the place of what was here. */
  replace(reading: Reading): void;
  /** The reading has another edition; the answers are the same. */
  seen(reading: Reading): void;
  change(answers: Answers): void;
  revise(isRevising: boolean): void;
  /** Begins the reading at the server without an answer yet. */
  begin(): Promise<void>;
  /** Saves what is left, and begins the reading if that was not done. */
  settle(): Promise<Reading>;
  /** The answers were kept elsewhere, to be sent from there: nothing is left to be saved here. */
  handOver(): void;
  /** After a conflict: the answers here go over those of the server, or the other way round. */
  resolve(mine: boolean): Promise<void>;
  readonly isClean: boolean;
  stop(): void;
}

export function makeDraftDesk(exam: number, api: DraftApi, pauseMs?: number): DraftDesk {
  const listeners = new Set<() => void>();
  let snapshot: DraftSnapshot = {
    reading: null,
    answers: NO_ANSWERS,
    save: { kind: "saved" },
    isRevising: false,
    arrivals: 0,
  };
  let saver = newSaver();

  function newSaver(): Saver<Answers> {
    return makeSaver<Answers>({
      async save(answers) {
        const reading = snapshot.reading ?? (await api.open(exam));
        // Begun: an answer that comes with it is an older one of the same reader.
        update({ reading });
        update({ reading: await api.save(reading, answers, keyOfAnswers(answers)) });
      },
      explain: api.explain,
      changed: (save) => update({ save }),
      ...(pauseMs !== undefined && { pauseMs }),
    });
  }

  function update(changes: Partial<DraftSnapshot>): void {
    snapshot = { ...snapshot, ...changes };
    for (const listener of listeners) listener();
  }

  function replace(reading: Reading): void {
    saver.stop();
    saver = newSaver();
    update({
      reading,
      answers: answersOf(reading),
      save: { kind: "saved" },
      isRevising: false,
      arrivals: snapshot.arrivals + 1,
    });
  }

  return {
    get snapshot() {
      return snapshot;
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    adopt(reading) {
      const known = snapshot.reading;
      if (!saver.isClean || snapshot.isRevising) return;
      if (known?.id === reading.id && progressOf(reading) <= progressOf(known)) return;
      replace(reading);
    },
    replace,
    seen(reading) {
      update({ reading });
    },
    change(answers) {
      if (sameAnswers(answers, snapshot.answers)) return;
      update({ answers });
      const state = snapshot.reading?.state ?? "draft";
      if (state === "draft") saver.set(answers);
      else if (state === "locked" && !snapshot.isRevising) update({ isRevising: true });
    },
    revise(isRevising) {
      const reading = snapshot.reading;
      if (reading === null) return;
      const answers = isRevising ? snapshot.answers : answersOf(reading);
      const arrivals = isRevising ? snapshot.arrivals : snapshot.arrivals + 1;
      update({ isRevising, answers, arrivals });
    },
    async begin() {
      replace(await api.open(exam));
    },
    async settle() {
      if (snapshot.reading === null) saver.set(snapshot.answers);
      await saver.flush();
      if (snapshot.reading === null || !saver.isClean) throw new Error("the answers are not saved");
      return snapshot.reading;
    },
    handOver() {
      saver.stop();
      saver = newSaver();
      update({ save: { kind: "saved" }, isRevising: false });
    },
    async resolve(mine) {
      const { reading, answers } = snapshot;
      const theirs = reading === null ? await api.open(exam) : await api.show(reading.id);
      replace(theirs);
      if (mine && theirs.state === "draft") {
        update({ answers, arrivals: snapshot.arrivals + 1 });
        saver.set(answers);
        await saver.flush();
      }
    },
    get isClean() {
      return saver.isClean && !snapshot.isRevising;
    },
    stop: () => saver.stop(),
  };
}

/**
 * How far a reading has come. An answer that was on its way while a newer draft was saved must not
 * take its place, so of two drafts the one here stays; another tab's is found when it is saved.
 */
function progressOf({ state, addenda, after_ai }: Reading): number {
  const step = { draft: 0, locked: 1, signed: 3 }[state];
  return step + (state === "locked" && after_ai !== null ? 1 : 0) + addenda.length;
}

export interface DraftDesks {
  of(exam: number): DraftDesk;
  /** The reader left the exam: what is saved is forgotten here, the rest stays. */
  leave(exam: number): void;
  unsaved(): readonly number[];
  /** Sends what is not saved; gives whether everything is at the server now. */
  settle(): Promise<boolean>;
}

export function makeDraftDesks(api: DraftApi): DraftDesks {
  const desks = new Map<number, DraftDesk>();
  return {
    of(exam) {
      const known = desks.get(exam);
      if (known !== undefined) return known;
      const made = makeDraftDesk(exam, api);
      desks.set(exam, made);
      return made;
    },
    leave(exam) {
      const desk = desks.get(exam);
      if (desk === undefined) return;
      const forget = () => {
        if (desk.isClean && desks.get(exam) === desk) {
          desk.stop();
          desks.delete(exam);
        }
      };
      if (desk.isClean) forget();
      else if (!desk.snapshot.isRevising) desk.settle().then(forget, () => undefined);
    },
    async settle() {
      const open = [...desks.values()].filter((desk) => !desk.isClean);
      const drafts = open.filter((desk) => !desk.snapshot.isRevising);
      await Promise.allSettled(drafts.map((desk) => desk.settle()));
      return open.every((desk) => desk.isClean);
    },
    unsaved: () => [...desks].flatMap(([exam, desk]) => (desk.isClean ? [] : [exam])),
  };
}
