/** After the lock: the AI is shown, and the reader keeps the first answer or gives another one. */

import { useState } from "react";
import type { Reading } from "../../api/types";
import { contradictionsIn, missingIn } from "../../logic/answers";
import { newKey } from "../../logic/request_keys";
import { useDesk } from "../../parts/app_context";
import { Confirm } from "../../parts/dialog";
import { useAction } from "../../parts/hooks";
import { useFinish } from "../../parts/use_finish";
import { AnswerForm } from "./answer_form";
import { AnswerSummary } from "./answer_summary";
import { Contradictions, MissingNote } from "./drafting";
import { FinishProblem } from "./finish_problem";
import { LookAgain } from "./look_again";
import { imagedBreasts, type PanelProps, useMarks } from "./panel_props";

type LockedProps = PanelProps & { readonly reading: Reading };

export function Locked(props: LockedProps) {
  const { words, apis, announce } = useDesk();
  const { facts, draft, reading, refresh } = props;
  useMarks(props);
  const action = useAction();
  const keeping = useFinish(facts.detail);
  const [asks, setAsks] = useState(false);
  const after = reading.after_ai;
  // A newer result of the AI is looked at by agreeing, or answering, once more.
  const agrees = after === null || action.problem?.code === "ai_changed" || asks;
  const sign = () =>
    action.run(async () => {
      const revises = agrees && after?.agreed !== false;
      const revise = { key: newKey(), act: "revise", answers: null } as const;
      const last = { key: newKey(), act: "sign" } as const;
      let now = reading;
      const mine = await keeping.orKeep(
        async () => {
          if (revises) {
            now = await apis.readings.revise(now, null, revise.key);
            draft.desk.replace(now);
          }
          return apis.readings.sign(now, last.key);
        },
        () => ({ reading: now, steps: revises && now === reading ? [revise, last] : [last] }),
      );
      setAsks(false);
      if (mine === null) return draft.desk.handOver();
      await refresh(mine);
      announce(words.say("reading.signed-now"));
    });
  return (
    <div className="stack">
      <p className="note note-good">{words.say("reading.is-locked")}</p>
      <LookAgain {...props} />
      <AnswerSummary
        title={words.say(after ? "reading.after-ai" : "reading.first-answer")}
        answers={reading}
        before={reading.first_answer}
        images={facts.exam.images}
        showMark={props.showMark}
      />
      {after === null && <p>{words.say("reading.agree-how")}</p>}
      <FinishProblem
        {...props}
        problem={action.problem}
        done={() => {
          if (action.problem?.code === "ai_changed") setAsks(true);
          action.clear();
        }}
      />
      <div className="actions actions-sticky">
        <button
          type="button"
          className="primary"
          disabled={action.isBusy}
          onClick={() => void sign()}
        >
          {words.say(after ? "reading.sign" : "reading.agree")}
        </button>
        <button type="button" disabled={action.isBusy} onClick={() => draft.desk.revise(true)}>
          {words.say("reading.change")}
        </button>
      </div>
    </div>
  );
}

/** Another answer in view of the AI; the first one is kept beside it. */
export function Revising(props: LockedProps) {
  const { words, apis, announce } = useDesk();
  const { facts, draft, reading, refresh, showMark } = props;
  useMarks(props);
  const { answers } = draft.snapshot;
  const action = useAction();
  const keeping = useFinish(facts.detail);
  const { images } = facts.exam;
  const imaged = imagedBreasts(images);
  const missing = missingIn(answers, imaged);
  const doubts = contradictionsIn(answers);
  const [asks, setAsks] = useState(false);
  const finish = () =>
    action.run(async () => {
      setAsks(false);
      const revise = { key: newKey(), act: "revise", answers } as const;
      const last = { key: newKey(), act: "sign" } as const;
      let now = reading;
      const mine = await keeping.orKeep(
        async () => {
          now = await apis.readings.revise(reading, answers, revise.key);
          draft.desk.replace(now);
          return apis.readings.sign(now, last.key);
        },
        () => ({ reading: now, steps: now === reading ? [revise, last] : [last] }),
      );
      if (mine === null) return draft.desk.handOver();
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
      <LookAgain {...props} />
      <AnswerForm
        answers={answers}
        imaged={imaged}
        change={(to) => draft.desk.change(to)}
        missing={missing}
        images={images}
        showMark={showMark}
      />
      <Contradictions of={doubts} />
      <MissingNote missing={missing} />
      <FinishProblem {...props} problem={action.problem} done={action.clear} />
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
