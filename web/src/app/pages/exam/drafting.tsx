/** The first answer, before it is locked. Where the AI is in sight it is signed without a lock. */

import { useState } from "react";
import { contradictionsIn, type Missing, missingIn } from "../../logic/answers";
import { keyOfAnswers, newKey } from "../../logic/request_keys";
import { useDesk } from "../../parts/app_context";
import { Confirm } from "../../parts/dialog";
import { useAction } from "../../parts/hooks";
import { useFinish } from "../../parts/use_finish";
import { AnswerForm } from "./answer_form";
import { FinishProblem } from "./finish_problem";
import { LookAgain } from "./look_again";
import { imagedBreasts, type PanelProps, useMarks } from "./panel_props";

export function Drafting(props: PanelProps) {
  const { words, apis, announce } = useDesk();
  const { facts, draft, refresh, showMark } = props;
  const { answers, reading, save } = draft.snapshot;
  const action = useAction();
  const keeping = useFinish(facts.detail);
  useMarks(props);
  const [tried, setTried] = useState(false);
  const [asks, setAsks] = useState(false);
  const { images } = facts.exam;
  const imaged = imagedBreasts(images);
  const missing = missingIn(answers, imaged);
  const doubts = contradictionsIn(answers);
  const isBlind = !props.isArbitration && (reading?.mode ?? facts.detail.mode) === "second_reader";
  const finish = () =>
    action.run(async () => {
      setAsks(false);
      const key = newKey();
      const mine = await keeping.orKeep(
        async () => {
          const saved = await draft.desk.settle();
          return isBlind ? apis.readings.lock(saved, key) : apis.readings.sign(saved, key);
        },
        () => {
          const { reading: now, answers: given } = draft.desk.snapshot;
          const last = { key, act: isBlind ? "lock" : "sign" } as const;
          const save = { key: keyOfAnswers(given), act: "save", answers: given } as const;
          return { reading: now, steps: draft.desk.isClean && now ? [last] : [save, last] };
        },
      );
      if (mine === null) return draft.desk.handOver();
      await refresh(mine);
      announce(words.say(isBlind ? "reading.locked-now" : "reading.signed-now"));
    });
  const onFinish = () => {
    setTried(true);
    if (missing.length === 0) setAsks(true);
  };
  const act = words.say(isBlind ? "reading.lock" : "reading.sign");
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
      {reading && <LookAgain {...props} reading={reading} />}
      <AnswerForm
        answers={answers}
        imaged={imaged}
        change={(to) => draft.desk.change(to)}
        missing={tried ? missing : []}
        images={images}
        showMark={showMark}
      />
      <Contradictions of={doubts} />
      {tried && <MissingNote missing={missing} />}
      <FinishProblem {...props} problem={action.problem} done={action.clear} />
      <div className="actions actions-sticky">
        <button
          type="submit"
          className="primary"
          disabled={action.isBusy || save.kind === "refused"}
        >
          {act}
        </button>
        <small className="quiet">{words.say("reading.finish-key")}</small>
        <small className="quiet">{words.say("reading.keys")}</small>
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

export function Contradictions({ of }: { of: ReturnType<typeof contradictionsIn> }) {
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

export function MissingNote({ missing }: { missing: readonly Missing[] }) {
  const { words } = useDesk();
  if (missing.length === 0) return null;
  const what = missing.map((one) => words.say(`missing.${one}`)).join(", ");
  return (
    <p className="note note-warning" role="alert">
      {words.say("reading.missing", { what })}
    </p>
  );
}
