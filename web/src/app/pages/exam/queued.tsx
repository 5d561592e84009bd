/** An answer that waits on this device: what it says, and what became of it at the server. */

import type { ReadingItem } from "../../device/queue_items";
import { answersIn } from "../../device/queue_items";
import { useDesk } from "../../parts/app_context";
import { QueueList } from "../../parts/queue_list";
import { useQueue } from "../../parts/use_device";
import { AnswerSummary } from "./answer_summary";
import { NextExam } from "./next_exam";
import type { PanelProps } from "./panel_props";

export function Queued(props: PanelProps & { readonly item: ReadingItem }) {
  const { words } = useDesk();
  const { outbox } = useQueue();
  const { item, facts, draft } = props;
  const answers = answersIn(item);
  /** The reader takes the answer back into the form, in view of what is at the server now. */
  const takeBack = async () => {
    await outbox.discard(item.id);
    await props.refresh();
    if (answers !== null) draft.desk.change(answers);
  };
  return (
    <div className="stack">
      <QueueList items={[item]} isSending={outbox.isSending} />
      {answers !== null && (
        <AnswerSummary
          title={words.say("queue.answer")}
          answers={answers}
          images={facts.exam.images}
          showMark={props.showMark}
        />
      )}
      <div className="actions">
        {item.taken === 0 && (
          <button type="button" onClick={() => void takeBack()}>
            {words.say("queue.take-back")}
          </button>
        )}
        {item.state !== "waiting" && (
          <button type="button" onClick={() => void outbox.send(item.id)}>
            {words.say("queue.again")}
          </button>
        )}
        <NextExam next={props.next} />
      </div>
    </div>
  );
}
