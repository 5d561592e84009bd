/** What a person answers to an exam: draft → locked → the AI → agree or change → signed. */

import { useState } from "react";
import { asProblem, type Problem } from "../../api/problem";
import type { Breast, ExamDetail, Reading } from "../../api/types";
import { contradictionsIn, missingIn } from "../../logic/answers";
import { mayRead } from "../../logic/rights";
import { hashTo } from "../../logic/route";
import { useDesk } from "../../parts/app_context";
import { Confirm } from "../../parts/dialog";
import { ProblemNote } from "../../parts/form";
import { useAction } from "../../parts/hooks";
import { AnswerForm } from "./answer_form";
import { AnswerSummary } from "./answer_summary";
import { Comparison } from "./comparison";
import { SaveNote } from "./save_note";
import { Signed } from "./signed";
import type { Draft } from "./use_draft";

export interface PanelProps {
  readonly detail: ExamDetail;
  readonly draft: Draft;
  readonly next: number | null;
  showMark(id: string): void;
  /** After something happened to the reading: with the new one, if it is this person's. */
  refresh(reading?: Reading): Promise<void>;
}

export function ReadingPanel(props: PanelProps) {
  const { words, person } = useDesk();
  const { detail, draft } = props;
  const { reading } = draft.snapshot;
  const reads = reading !== null || mayRead(person, detail.site?.id ?? null);
  return (
    <aside className="reading" aria-label={words.say("reading.title")} tabIndex={-1}>
      <header className="reading-head">
        <h2>{words.say(reading ? `reading.role-${reading.role}` : "reading.title")}</h2>
        {reads && reading?.state !== "signed" && <SaveNote draft={draft} />}
      </header>
      <Mode detail={detail} />
      {draft.others.length > 0 && <Comparison readings={draft.others} showMark={props.showMark} />}
      {reads ? <MyReading {...props} /> : <NoReading detail={detail} />}
    </aside>
  );
}

function Mode({ detail }: { detail: ExamDetail }) {
  const { words } = useDesk();
  if (detail.mode === null) return null;
  return <p className="quiet mode">{words.say(`mode.${detail.mode}-how`)}</p>;
}

function NoReading({ detail }: { detail: ExamDetail }) {
  const { words } = useDesk();
  const key = detail.site === null ? "reading.no-site" : "reading.not-a-reader";
  return <p className="quiet">{words.say(key)}</p>;
}

function MyReading(props: PanelProps) {
  const { reading, isRevising } = props.draft.snapshot;
  if (reading?.state === "signed") return <Signed {...props} reading={reading} />;
  if (reading?.state === "locked") {
    return isRevising ? <Revising {...props} /> : <Locked {...props} reading={reading} />;
  }
  return <Drafting {...props} />;
}

function imagedBreasts(detail: ExamDetail): readonly Breast[] {
  const sides = new Set(detail.images.map((image) => image.laterality));
  const imaged: Breast[] = [];
  // A picture of unknown side may be of either breast.
  if (sides.has("R") || sides.has(null)) imaged.push("right");
  if (sides.has("L") || sides.has(null)) imaged.push("left");
  return imaged;
}

/** Before the lock. Where the AI is visible from the start, signing needs no lock before. */
function Drafting({ detail, draft, refresh, showMark }: PanelProps) {
  const { words, apis, announce } = useDesk();
  const { answers, reading, save } = draft.snapshot;
  const action = useAction();
  const [tried, setTried] = useState(false);
  const [asks, setAsks] = useState(false);
  const imaged = imagedBreasts(detail);
  const missing = missingIn(answers, imaged);
  const doubts = contradictionsIn(answers);
  const isBlind = detail.mode === "second_reader" && reading?.role !== "arbiter";
  const finish = () =>
    action.run(async () => {
      setAsks(false);
      let mine = await draft.desk.settle();
      mine = await apis.readings.lock(mine);
      if (!isBlind) mine = await signedOrKept(mine);
      await refresh(mine);
      announce(words.say(mine.state === "signed" ? "reading.signed-now" : "reading.locked-now"));
    });
  /** If signing fails after the lock, the lock is shown as it is. */
  async function signedOrKept(locked: Reading): Promise<Reading> {
    try {
      return await apis.readings.sign(locked);
    } catch (error) {
      draft.desk.replace(locked);
      throw error;
    }
  }
  const onFinish = () => {
    setTried(true);
    if (missing.length > 0) return;
    if (doubts.length > 0 || isBlind) setAsks(true);
    else void finish();
  };
  const act = words.say(isBlind ? "reading.lock" : "reading.sign");
  const isStuck = save.kind === "refused";
  return (
    <form
      className="stack"
      onSubmit={(event) => {
        event.preventDefault();
        onFinish();
      }}
      onKeyDown={(event) => {
        if (event.key === "Enter" && event.ctrlKey) onFinish();
      }}
    >
      <AnswerForm
        answers={answers}
        imaged={imaged}
        change={(to) => draft.desk.change(to)}
        missing={tried ? missing : []}
        images={detail.images}
        showMark={showMark}
      />
      <Contradictions of={doubts} />
      {tried && missing.length > 0 && (
        <p className="note note-warning" role="alert">
          {words.say("reading.missing", {
            what: missing.map((one) => words.say(`missing.${one}`)).join(", "),
          })}
        </p>
      )}
      <FinishProblem problem={action.problem} />
      <div className="actions actions-sticky">
        <button type="submit" className="primary" disabled={action.isBusy || isStuck}>
          {act}
        </button>
        <small className="quiet">{words.say("reading.finish-key")}</small>
      </div>
      {asks && (
        <Confirm
          title={act}
          text={[
            ...doubts.map((doubt) => words.say(`contradiction.${doubt}`)),
            words.say(isBlind ? "reading.lock-text" : "reading.sign-text"),
          ].join(" ")}
          act={act}
          isBusy={action.isBusy}
          confirm={() => void finish()}
          close={() => setAsks(false)}
        />
      )}
    </form>
  );
}

/** The first answer is locked; the AI is shown. */
function Locked({ detail, draft, reading, refresh }: PanelProps & { reading: Reading }) {
  const { words, apis, announce } = useDesk();
  const action = useAction();
  const agreed = reading.after_ai;
  const sign = (agree: boolean) =>
    action.run(async () => {
      let mine = reading;
      if (agree) {
        mine = await apis.readings.revise(mine, true, null);
        draft.desk.replace(mine);
      }
      mine = await apis.readings.sign(mine);
      await refresh(mine);
      announce(words.say("reading.signed-now"));
    });
  return (
    <div className="stack">
      <p className="note note-good">{words.say("reading.is-locked")}</p>
      <AnswerSummary
        title={words.say(agreed ? "reading.after-ai" : "reading.first-answer")}
        answers={agreed ?? reading.first_answer ?? reading}
        images={detail.images}
      />
      {!agreed && <p>{words.say("reading.agree-how")}</p>}
      <FinishProblem problem={action.problem} />
      <div className="actions actions-sticky">
        <button
          type="button"
          className="primary"
          disabled={action.isBusy}
          onClick={() => void sign(agreed === null)}
        >
          {words.say(agreed ? "reading.sign" : "reading.agree")}
        </button>
        <button type="button" disabled={action.isBusy} onClick={() => draft.desk.revise(true)}>
          {words.say("reading.change")}
        </button>
      </div>
    </div>
  );
}

/** Another answer in view of the AI; the first one is kept beside it. */
function Revising({ detail, draft, refresh, showMark }: PanelProps) {
  const { words, apis, announce } = useDesk();
  const { answers, reading } = draft.snapshot;
  const action = useAction();
  const imaged = imagedBreasts(detail);
  const missing = missingIn(answers, imaged);
  const doubts = contradictionsIn(answers);
  const [asks, setAsks] = useState(false);
  const finish = () =>
    action.run(async () => {
      if (reading === null) return;
      setAsks(false);
      const revised = await apis.readings.revise(reading, false, answers);
      draft.desk.replace(revised);
      const mine = await apis.readings.sign(revised);
      await refresh(mine);
      announce(words.say("reading.signed-now"));
    });
  return (
    <form
      className="stack"
      onSubmit={(event) => {
        event.preventDefault();
        if (missing.length === 0) setAsks(true);
      }}
    >
      <p className="note note-warning">{words.say("reading.is-revising")}</p>
      <AnswerForm
        answers={answers}
        imaged={imaged}
        change={(to) => draft.desk.change(to)}
        missing={missing}
        images={detail.images}
        showMark={showMark}
      />
      <Contradictions of={doubts} />
      <FinishProblem problem={action.problem} />
      <div className="actions actions-sticky">
        <button type="submit" className="primary" disabled={action.isBusy || missing.length > 0}>
          {words.say("reading.sign-changed")}
        </button>
        <button type="button" onClick={() => draft.desk.revise(false)}>
          {words.say("reading.keep-first")}
        </button>
      </div>
      {asks && (
        <Confirm
          title={words.say("reading.sign-changed")}
          text={[
            ...doubts.map((doubt) => words.say(`contradiction.${doubt}`)),
            words.say("reading.sign-text"),
          ].join(" ")}
          act={words.say("reading.sign-changed")}
          isBusy={action.isBusy}
          confirm={() => void finish()}
          close={() => setAsks(false)}
        />
      )}
    </form>
  );
}

function Contradictions({ of }: { of: ReturnType<typeof contradictionsIn> }) {
  const { words } = useDesk();
  return (
    <div role="status">
      {of.map((one) => (
        <p key={one} className="note note-warning">
          {words.say(`contradiction.${one}`)}
        </p>
      ))}
    </div>
  );
}

/** Of two who sign at once one wins; the other is told so. */
function FinishProblem({ problem }: { problem: Problem | null }) {
  const { words } = useDesk();
  if (problem === null) return null;
  const isLate = [409, 412].includes(asProblem(problem).status);
  return (
    <>
      {isLate && (
        <p className="note note-bad" role="alert">
          {words.say("reading.changed-meanwhile")}
        </p>
      )}
      <ProblemNote problem={problem} />
    </>
  );
}

export function NextExam({ next }: { next: number | null }) {
  const { words } = useDesk();
  return next === null ? (
    <a className="button" href={hashTo("worklist")}>
      {words.say("exam.back")}
    </a>
  ) : (
    <a className="button primary" href={hashTo("exams", next)}>
      {words.say("exam.next")} ›
    </a>
  );
}
