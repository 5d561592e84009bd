/**
 * The exam that is open: its facts for the page, for the viewer, and the readings of it. If it is
 * revised or deleted meanwhile, that is reported and nothing is exchanged by itself.
 */

import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import type { Exam } from "../../../viewer/exam";
import { lookBackUrl, viewerUrl } from "../../api/exams";
import { asProblem, type Problem } from "../../api/problem";
import type { Dispute, ExamDetail, Reading } from "../../api/types";
import { inWords } from "../../logic/exam_words";
import { useDesk } from "../../parts/app_context";

export interface ExamFacts {
  readonly detail: ExamDetail;
  /** As the viewer shows it. */
  readonly exam: Exam;
  readonly readings: readonly Reading[];
  /** Both readings, for an arbiter. */
  readonly dispute: Dispute | null;
}

export interface OpenExam {
  readonly facts: ExamFacts | null;
  readonly problem: Problem | null;
  /** Another version of the exam is there, or it is gone. */
  readonly news: "revised" | "gone" | null;
  /** Counts the openings: a viewer with another number opens the exam again. */
  readonly opening: number;
  readonly url: string;
  readExam(url: string): Promise<Exam>;
  /** Asks again for what may have changed beside the pictures. */
  refresh(): Promise<void>;
  /** Takes the version that is at the server now. */
  openAgain(): void;
}

interface State {
  readonly id: number;
  readonly facts: ExamFacts | null;
  readonly problem: Problem | null;
  readonly news: OpenExam["news"];
}

const GONE = [404, 410];

/**
 * @param refined takes the exam where more or less of the AI is shown than before
 */
export function useExam(
  id: number,
  { isArbitration, isLookBack }: { isArbitration: boolean; isLookBack: boolean },
  refined: (exam: Exam) => void,
): OpenExam {
  const { apis, words } = useDesk();
  const reason = useRef(words.reason);
  reason.current = words.reason;
  const tell = useRef(refined);
  tell.current = refined;
  const [opening, setOpening] = useState(0);
  const nothing: State = { id, facts: null, problem: null, news: null };
  const [state, setState] = useState<State>(nothing);
  const shown = useRef<ExamFacts | null>(null);
  /** Numbers of questions: an answer to an older one does not take the place of a newer answer. */
  const turns = useRef({ asked: 0, shown: 0 });

  const forViewer = useCallback(
    async (url: string) => inWords(await apis.exams.forViewer(url), reason.current),
    [apis],
  );
  const ask = useCallback(
    async () => ({
      detail: await apis.exams.show(id),
      readings: await apis.readings.list(id),
      dispute: isArbitration ? await apis.readings.dispute(id).catch(() => null) : null,
    }),
    [apis, id, isArbitration],
  );

  // The pictures are asked for first: they are what the reader waits for.
  // biome-ignore lint/correctness/useExhaustiveDependencies: an opening reads again
  const first = useMemo(() => {
    const exam = forViewer(isLookBack ? lookBackUrl(id) : viewerUrl(id));
    const others = ask();
    exam.catch(() => undefined);
    others.catch(() => undefined);
    return { exam, others };
  }, [id, isLookBack, ask, forViewer, opening]);

  useEffect(() => {
    let isCurrent = true;
    shown.current = null;
    setState({ id, facts: null, problem: null, news: null });
    Promise.all([first.exam, first.others]).then(
      ([exam, others]) => {
        if (!isCurrent) return;
        shown.current = { exam, ...others };
        setState({ id, facts: shown.current, problem: null, news: null });
      },
      (error: unknown) =>
        isCurrent && setState({ id, facts: null, problem: asProblem(error), news: null }),
    );
    return () => {
      isCurrent = false;
    };
  }, [id, first]);

  const readExam = useCallback(
    (url: string) => (url === viewerUrl(id) ? first.exam : forViewer(url)),
    [id, first, forViewer],
  );

  const refresh = useCallback(async () => {
    const before = shown.current;
    if (before === null) return;
    const turn = ++turns.current.asked;
    const isStill = () =>
      shown.current !== null &&
      shown.current.detail.id === before.detail.id &&
      turn > turns.current.shown;
    try {
      const others = await ask();
      if (!isStill()) return;
      if (others.detail.version !== before.detail.version) {
        setState((now) => ({ ...now, news: "revised" }));
        return;
      }
      const isOther =
        others.detail.ai_hidden !== before.detail.ai_hidden ||
        others.detail.revision !== before.detail.revision;
      const exam = isOther ? await forViewer(viewerUrl(id)) : before.exam;
      if (!isStill()) return;
      turns.current.shown = turn;
      shown.current = { exam, ...others };
      setState((now) => ({ ...now, facts: shown.current }));
      if (isOther) tell.current(exam);
    } catch (error) {
      const isGone = GONE.includes(asProblem(error).status);
      if (isGone && isStill()) setState((now) => ({ ...now, news: "gone" }));
    }
  }, [ask, forViewer, id]);

  useNews(id, refresh);
  return {
    ...(state.id === id ? state : nothing),
    opening,
    url: viewerUrl(id),
    readExam,
    refresh,
    openAgain: () => setOpening((now) => now + 1),
  };
}

/** Several events of a moment are answered by one question. */
const SETTLE_MS = 400;

function useNews(id: number, refresh: () => Promise<void>): void {
  const { events } = useDesk();
  useEffect(() => {
    let timer = 0;
    const stop = events.listen((event) => {
      if (event.exam !== id && event.name !== "connected" && event.name !== "reload") return;
      clearTimeout(timer);
      timer = window.setTimeout(() => void refresh(), SETTLE_MS);
    });
    return () => {
      clearTimeout(timer);
      stop();
    };
  }, [events, id, refresh]);
}
