/** Images came while the exam was read: the reader says that they were looked at. */

import type { Reading } from "../../api/types";
import { useDesk } from "../../parts/app_context";
import { ProblemNote } from "../../parts/form";
import { useAction } from "../../parts/hooks";
import type { PanelProps } from "./panel_props";

export function LookAgain({ facts, draft, reading }: PanelProps & { readonly reading: Reading }) {
  const { words, apis } = useDesk();
  const action = useAction();
  // What the viewer shows is the version of `facts`; a newer one is offered above the pictures.
  const { version } = facts.detail;
  if (reading.exam_version === version) return null;
  const confirm = () =>
    action.run(async () => {
      const saved = await draft.desk.settle();
      draft.desk.seen(await apis.readings.look(saved, version));
    });
  return (
    <div className="note note-warning" role="alert">
      <p>{words.say("reading.images-came")}</p>
      <div className="actions">
        <button type="button" disabled={action.isBusy} onClick={() => void confirm()}>
          {words.say("reading.have-looked")}
        </button>
      </div>
      <ProblemNote problem={action.problem} />
    </div>
  );
}
