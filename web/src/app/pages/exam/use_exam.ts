/**
 * The exam that is open: its facts for the page and for the viewer, read once for both. If it is
 * revised or deleted meanwhile, that is reported and nothing is exchanged by itself.
 */

import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import type { Exam } from "../../../viewer/exam";
import { examUrl } from "../../api/exams";
import { asProblem, type Problem } from "../../api/problem";
import type { ExamDetail } from "../../api/types";
import { useDesk } from "../../parts/app_context";

export interface OpenExam {
  readonly detail: ExamDetail | null;
  readonly problem: Problem | null;
  /** Another revision of the exam is there, or it is gone. */
  readonly news: "revised" | "gone" | null;
  /** Counts the openings: a viewer with another number opens the exam again. */
  readonly opening: number;
  readonly url: string;
  readExam(url: string): Promise<Exam>;
  /** Asks again for what may have changed beside the pictures: readings, what of the AI is shown. */
  refresh(): Promise<Exam | null>;
  /** Takes the new revision. */
  openAgain(): void;
}

const GONE = [404, 410];

export function useExam(id: number): OpenExam {
  const { apis, events } = useDesk();
  const [opening, setOpening] = useState(0);
  const [state, setState] = useState<{
    id: number;
    detail: ExamDetail | null;
    problem: Problem | null;
    news: OpenExam["news"];
  }>({ id, detail: null, problem: null, news: null });
  const shown = useRef<ExamDetail | null>(null);

  // biome-ignore lint/correctness/useExhaustiveDependencies: an opening reads again
  const first = useMemo(() => {
    const read = apis.exams.show(id);
    read.catch(() => undefined);
    return read;
  }, [apis, id, opening]);

  useEffect(() => {
    let isCurrent = true;
    shown.current = null;
    setState({ id, detail: null, problem: null, news: null });
    first.then(
      (detail) => {
        if (!isCurrent) return;
        shown.current = detail;
        setState({ id, detail, problem: null, news: null });
      },
      (error: unknown) =>
        isCurrent && setState({ id, detail: null, problem: asProblem(error), news: null }),
    );
    return () => {
      isCurrent = false;
    };
  }, [id, first]);

  const readExam = useCallback(
    async (url: string) =>
      url === examUrl(id) ? apis.exams.withAi(await first) : apis.exams.forViewer(url),
    [apis, id, first],
  );

  const refresh = useCallback(async () => {
    const before = shown.current;
    if (before === null) return null;
    try {
      const detail = await apis.exams.show(id);
      if (shown.current !== before) return null;
      if (detail.revision !== before.revision) {
        setState((now) => ({ ...now, news: "revised" }));
        return null;
      }
      shown.current = detail;
      setState((now) => ({ ...now, detail }));
      return await apis.exams.withAi(detail);
    } catch (error) {
      if (GONE.includes(asProblem(error).status)) setState((now) => ({ ...now, news: "gone" }));
      return null;
    }
  }, [apis, id]);

  useEffect(
    () =>
      events.listen((event) => {
        if (event.exam === id || event.name === "connected") void refresh();
      }),
    [events, id, refresh],
  );

  const current = state.id === id ? state : { detail: null, problem: null, news: null };
  return {
    detail: current.detail,
    problem: current.problem,
    news: current.news,
    opening,
    url: examUrl(id),
    readExam,
    refresh,
    openAgain: () => setOpening((now) => now + 1),
  };
}
