/** An exam: the viewer, and beside it what the person answers. */

import { lazy, Suspense, useCallback, useEffect, useRef, useState } from "react";
import { loadWords, type Words } from "../../../viewer/messages/text";
import { emptyHistory, type Mark } from "../../../viewer/tools/marks";
import { Viewer } from "../../../viewer/Viewer";
import type { ViewerHandle } from "../../../viewer/viewer";
import { viewerUrl } from "../../api/exams";
import type { Reading } from "../../api/types";
import { findingsOf, isFinding, marksOf } from "../../logic/marks";
import { hashTo } from "../../logic/route";
import { nextExam, previousExam } from "../../logic/worklist";
import { useDesk } from "../../parts/app_context";
import { Busy, ProblemNote } from "../../parts/form";
import { useTitle } from "../../parts/hooks";
import { useIsNarrow } from "../../parts/use_narrow";
import { lastList, rememberExam } from "../worklist/memory";
import { ExamBar } from "./exam_bar";
import { ExamNews } from "./exam_news";
import { ExamSummary } from "./exam_summary";
import { ReadingPanel } from "./reading_panel";
import { useDraft } from "./use_draft";
import { useExam } from "./use_exam";
import { useKeptDraft } from "./use_kept_draft";

const Pocket = lazy(() => import("./pocket"));

interface ExamPageProps {
  id: number;
  isArbitration: boolean;
  /** Opened from an interval cancer of the site's audit. */
  isLookBack?: boolean;
}

export function ExamPage({ id, isArbitration, isLookBack = false }: ExamPageProps) {
  const desk = useDesk();
  const { words, apis, announce } = desk;
  const viewer = useRef<ViewerHandle | null>(null);
  const exam = useExam(id, { isArbitration, isLookBack }, (refined) =>
    viewer.current?.refine(refined),
  );
  const draft = useDraft(id, exam.facts, isArbitration);
  useKeptDraft(isArbitration ? null : exam.facts, draft);
  const isNarrow = useIsNarrow();
  const [viewerWords, setViewerWords] = useState<Words | null>(null);
  const [failure, setFailure] = useState<string | null>(null);
  const [isOpen, setOpen] = useState(false);
  /** Marks that the page itself puts into the viewer are not the reader's changes. */
  const isShowing = useRef(false);
  const takesMarks = useRef(false);
  const told = useRef(false);
  useTitle(words.say("exam.title"));
  useEffect(() => rememberExam(id), [id]);

  useEffect(() => {
    void loadWords(words.language).then(setViewerWords);
  }, [words.language]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: another exam is not open yet
  useEffect(() => {
    setOpen(false);
    setFailure(null);
  }, [id, exam.opening]);

  const { rows } = lastList();
  const next = nextExam(rows, id);
  const previous = previousExam(rows, id);
  const leave = (direction: "next" | "previous") => {
    const to = direction === "next" ? next : previous;
    location.hash = to === null ? lastList().hash : hashTo("exams", to);
  };

  // Answers that came from the server bring their marks with them.
  // biome-ignore lint/correctness/useExhaustiveDependencies: only when answers have arrived
  useEffect(() => {
    const state = viewer.current?.state;
    if (!isOpen || !state) return;
    const marks = marksOf(draft.snapshot.answers.findings);
    isShowing.current = true;
    viewer.current?.change({ ...state, marks: emptyHistory(marks), selected: null }, false);
    isShowing.current = false;
  }, [isOpen, draft.snapshot.arrivals]);

  const others = draft.others;
  const [biopsies, setBiopsies] = useState<readonly Mark[]>([]);
  useEffect(() => {
    if (!isOpen) return;
    viewer.current?.showOthers([
      ...others.flatMap((reading) =>
        marksOf(reading.findings.filter(isFinding)).map((mark) => ({
          reader: reading.person.name,
          mark: { ...mark, id: `${reading.id}:${mark.id}` },
        })),
      ),
      ...biopsies.map((mark) => ({ reader: words.say("outcome.biopsy"), mark })),
    ]);
  }, [isOpen, others, biopsies, words]);

  const marksChanged = useCallback(
    (marks: readonly Mark[]) => {
      if (isShowing.current) return;
      if (!takesMarks.current) {
        if (marks.length > 0 && !told.current)
          announce(words.say("reading.marks-not-kept"), "warning");
        told.current = true;
        return;
      }
      const { answers } = draft.desk.snapshot;
      const images = viewer.current?.state?.exam.images ?? [];
      draft.desk.change({ ...answers, findings: findingsOf(marks, answers.findings, images) });
    },
    [draft.desk, announce, words],
  );
  const takeMarks = useCallback(
    (isOn: boolean) => {
      takesMarks.current = isOn;
      const drawn = viewer.current?.state?.marks.marks ?? [];
      // Drawn before the page knew that an answer begins.
      if (isOn && drawn.length > 0 && draft.desk.snapshot.reading === null) marksChanged(drawn);
    },
    [draft.desk, marksChanged],
  );
  const refresh = async (reading?: Reading) => {
    // The exam first: "signed" and "the AI is shown" are said when the rest of the page agrees.
    await exam.refresh();
    if (reading === undefined) return;
    draft.desk.replace(reading);
    requestAnimationFrame(() => focusAfter(reading));
  };

  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (!event.altKey || event.ctrlKey || event.metaKey) return;
      const part = { KeyR: ".reading", KeyV: ".mammolens-viewer" }[event.code];
      if (part === undefined) return;
      const place = document.querySelector<HTMLElement>(part);
      (place?.querySelector<HTMLElement>("input:not(:disabled), button.primary") ?? place)?.focus();
      if (event.code === "KeyV") place?.focus();
      event.preventDefault();
    };
    document.addEventListener("keydown", onKey);
    return () => document.removeEventListener("keydown", onKey);
  }, []);

  if (exam.problem !== null) {
    return (
      <section className="page">
        <h1>{words.say("exam.title")}</h1>
        <ProblemNote problem={exam.problem} />
        <a className="button" href={lastList().hash}>
          {words.say("exam.back")}
        </a>
      </section>
    );
  }
  const panel = exam.facts && (
    <ReadingPanel
      facts={exam.facts}
      draft={draft}
      isArbitration={isArbitration}
      next={next}
      openAgain={exam.openAgain}
      takeMarks={takeMarks}
      showMark={(mark) => viewer.current?.showMark(mark)}
      showBiopsies={setBiopsies}
      refresh={refresh}
    />
  );
  return (
    <section className={isNarrow ? "exam exam-narrow" : "exam"}>
      <ExamBar
        detail={exam.facts?.detail ?? null}
        banner={exam.facts?.exam.banner ?? null}
        next={next}
        previous={previous}
        refresh={refresh}
      />
      <ExamNews exam={exam} failure={failure} />
      {isLookBack && <p className="note">{words.say("exam.look-back")}</p>}
      <div className="exam-parts">
        {isNarrow && exam.facts && <ExamSummary facts={exam.facts} />}
        {isNarrow && (
          <div className="pocket-frame">
            <Suspense fallback={<Busy text={words.say("app.loading")} />}>
              {exam.facts && viewerWords !== null && (
                <Pocket exam={exam.facts.exam} words={viewerWords} />
              )}
            </Suspense>
          </div>
        )}
        {isNarrow && <p className="quiet pocket-how">{words.say("pocket.how")}</p>}
        {!isNarrow && viewerWords !== null && (
          <div className="viewer-place">
            <Viewer
              key={`${exam.opening} ${viewerWords.language}`}
              words={viewerWords}
              url={exam.url}
              next={next === null ? null : viewerUrl(next)}
              marks={marksOf(draft.snapshot.answers.findings)}
              readExam={exam.readExam}
              fetch={apis.client.fetch}
              leave={leave}
              marksChanged={marksChanged}
              mounted={(handle) => {
                viewer.current = handle;
              }}
              opened={() => setOpen(true)}
              failed={setFailure}
            />
          </div>
        )}
        {panel}
      </div>
    </section>
  );
}

/** After the lock the reader looks at the AI, after signing the next exam comes. */
function focusAfter({ state }: Reading): void {
  const place = state === "signed" ? ".next-exam" : ".mammolens-viewer";
  document.querySelector<HTMLElement>(place)?.focus();
}
