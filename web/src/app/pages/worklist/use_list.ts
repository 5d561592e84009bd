/**
 * One page of the worklist, kept up to date. What the server reports is read again a moment later;
 * while the pointer moves over the list nothing changes places, so that no click hits another exam.
 */

import { useCallback, useEffect, useRef, useState } from "react";
import { asProblem, type Problem } from "../../api/problem";
import type { ExamRow, Page } from "../../api/types";
import { type Filters, questionOf } from "../../logic/worklist";
import { useDesk } from "../../parts/app_context";

const SETTLE_MS = 700;
const STILL_MS = 1500;
/** Without news the list is read again, as lines can fail without a sign. */
const AGAIN_MS = 60_000;

export interface ExamList {
  readonly page: Page<ExamRow> | null;
  /** Of the question before, until the new one is answered: to look at, not to act on. */
  readonly old: Page<ExamRow> | null;
  readonly problem: Problem | null;
  readonly isLoading: boolean;
  /** Number of the page, from 0. */
  readonly number: number;
  forward(): void;
  back(): void;
  reload(): void;
  /** The pointer moved over the list. */
  touch(): void;
}

export function useExamList(filters: Filters): ExamList {
  const { apis, events } = useDesk();
  const question = JSON.stringify(filters);
  const [cursors, setCursors] = useState<{ question: string; list: readonly (string | null)[] }>({
    question,
    list: [null],
  });
  const list = cursors.question === question ? cursors.list : [null];
  const cursor = list.at(-1) ?? null;
  const key = `${question} ${cursor}`;
  const [shown, setShown] = useState<{ question: string; page: Page<ExamRow> } | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [isLoading, setLoading] = useState(true);
  const [turn, setTurn] = useState(0);
  const touched = useRef(0);
  const timer = useRef(0);

  // biome-ignore lint/correctness/useExhaustiveDependencies: a turn reads again
  useEffect(() => {
    const abort = new AbortController();
    setLoading(true);
    apis.exams
      .list(questionOf(JSON.parse(question)), cursor, abort.signal)
      .then(
        (page) => {
          if (abort.signal.aborted) return;
          setShown({ question, page });
          setProblem(null);
        },
        (error: unknown) => !abort.signal.aborted && setProblem(asProblem(error)),
      )
      .finally(() => !abort.signal.aborted && setLoading(false));
    return () => abort.abort();
  }, [apis, key, turn]);

  const reload = useCallback(() => setTurn((now) => now + 1), []);
  const reloadSoon = useCallback(() => {
    clearTimeout(timer.current);
    const wait = () => {
      const still = Date.now() - touched.current;
      if (still < STILL_MS) timer.current = window.setTimeout(wait, STILL_MS - still);
      else setTurn((now) => now + 1);
    };
    timer.current = window.setTimeout(wait, SETTLE_MS);
  }, []);
  useEffect(() => events.listen(reloadSoon), [events, reloadSoon]);
  useEffect(() => {
    const every = setInterval(reloadSoon, AGAIN_MS);
    return () => {
      clearInterval(every);
      clearTimeout(timer.current);
    };
  }, [reloadSoon]);

  const isOld = shown !== null && shown.question !== question;
  const page = isOld ? null : (shown?.page ?? null);
  return {
    page,
    old: isOld ? shown.page : null,
    problem,
    isLoading,
    number: list.length - 1,
    forward: () => {
      if (page?.next) setCursors({ question, list: [...list, page.next] });
    },
    back: () => {
      if (list.length > 1) setCursors({ question, list: list.slice(0, -1) });
    },
    reload,
    touch: () => {
      touched.current = Date.now();
    },
  };
}
