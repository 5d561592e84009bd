/** Why an answer could not be locked or signed, and what the reader can do about it. */

import type { Problem } from "../../api/problem";
import { useDesk } from "../../parts/app_context";
import { ProblemNote } from "../../parts/form";
import { useAction } from "../../parts/hooks";
import type { PanelProps } from "./panel_props";

export type FinishProblemProps = PanelProps & {
  readonly problem: Problem | null;
  done(): void;
};

/** Somebody else, or another window, was faster: what is at the server is shown. */
const LATE = ["stale", "already_signed", "in_arbitration", "locked"];

export function FinishProblem(props: FinishProblemProps) {
  const { words, apis } = useDesk();
  const { problem, draft, done, refresh, openAgain } = props;
  const action = useAction();
  if (problem === null) return null;
  const { reading } = draft.snapshot;
  const renew = () =>
    action.run(async () => {
      if (reading !== null) draft.desk.replace(await apis.readings.show(reading.id));
      await refresh();
      done();
    });
  const lookAtAi = () =>
    action.run(async () => {
      await refresh();
      if (reading?.mode === "concurrent") {
        draft.desk.seen(await apis.readings.look(reading, reading.exam_version));
      }
      done();
    });
  return (
    <>
      <ProblemNote problem={problem} />
      <div className="actions">
        {LATE.includes(problem.code) && (
          <button type="button" disabled={action.isBusy} onClick={() => void renew()}>
            {words.say("reading.show-current")}
          </button>
        )}
        {problem.code === "exam_changed" && (
          <button type="button" onClick={openAgain}>
            {words.say("exam.take-revision")}
          </button>
        )}
        {problem.code === "ai_changed" && (
          <button type="button" disabled={action.isBusy} onClick={() => void lookAtAi()}>
            {words.say("reading.look-at-ai")}
          </button>
        )}
      </div>
      <ProblemNote problem={action.problem} />
    </>
  );
}
