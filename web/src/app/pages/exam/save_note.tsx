/** Whether the draft is at the server, in words; after a conflict, which version counts. */

import { useDesk } from "../../parts/app_context";
import { ProblemNote } from "../../parts/form";
import { useAction } from "../../parts/hooks";
import type { Draft } from "./use_draft";

export function SaveNote({ draft }: { draft: Draft }) {
  const { words } = useDesk();
  const action = useAction();
  const { save, reading } = draft.snapshot;
  if (save.kind === "refused") {
    return (
      <div className="note note-bad" role="alert">
        <p>
          {save.isConflict
            ? words.say("save.conflict")
            : words.say("save.refused", { reason: save.reason })}
        </p>
        <div className="actions">
          <button type="button" onClick={() => void action.run(() => draft.desk.resolve(true))}>
            {words.say("save.keep-mine")}
          </button>
          <button type="button" onClick={() => void action.run(() => draft.desk.resolve(false))}>
            {words.say("save.take-theirs")}
          </button>
        </div>
        <ProblemNote problem={action.problem} />
      </div>
    );
  }
  if (save.kind === "failed") {
    return (
      <p className="save save-failed" role="status">
        {words.say("save.failed")}
      </p>
    );
  }
  if (reading === null && save.kind === "saved") return null;
  return (
    <p className={`save save-${save.kind}`} role="status">
      {words.say(`save.${save.kind}`)}
    </p>
  );
}
