/**
 * Images of the last days that the server refused, also those that went out when nobody looked: a
 * health worker hears of them before the next patient. What was noted is forgotten at the server.
 */

import { dateTimeWords } from "../../logic/times";
import { useDesk } from "../../parts/app_context";
import { ProblemNote } from "../../parts/form";
import { useAction, useLoad } from "../../parts/hooks";
import { isUseless, Reasons, viewOf } from "./outcomes";

export function RefusedImages() {
  const { words, apis } = useDesk();
  const action = useAction();
  const list = useLoad(async () => {
    const results = await apis.uploads.latest();
    return results.filter((one) => one.state === "done" && isUseless(one));
  }, "refused images");
  if (list.data === null || list.data.length === 0) return null;
  const note = (id: string) =>
    action.run(async () => {
      await apis.uploads.cancel({ url: `/uploads/${id}` });
      list.reload();
    });
  return (
    <div className="note note-warning" role="status">
      <p>{words.say("field.refused-before")}</p>
      <ul className="queue">
        {list.data.map((one) => (
          <li key={one.id} className="queue-item queue-refused">
            <strong>{viewOf(one.name, words)}</strong>
            <span className="quiet">{dateTimeWords(one.created_at, words.locale)}</span>
            <Reasons of={one} />
            <div className="actions">
              <button type="button" disabled={action.isBusy} onClick={() => void note(one.id)}>
                {words.say("field.noted")}
              </button>
            </div>
          </li>
        ))}
      </ul>
      <ProblemNote problem={action.problem} />
    </div>
  );
}
