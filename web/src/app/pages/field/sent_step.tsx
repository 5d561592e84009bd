/** The last step: the images wait for a reader. Nothing else is said of them. */

import { useState } from "react";
import type { QueueItem } from "../../device/queue_items";
import { useDesk } from "../../parts/app_context";
import { Confirm } from "../../parts/dialog";
import { QueueList, titleOf } from "../../parts/queue_list";
import { useQueue } from "../../parts/use_device";

export function SentStep({ ids, next }: { ids: readonly string[]; next(): void }) {
  const { words } = useDesk();
  const { outbox, items } = useQueue();
  const [asked, setAsked] = useState<QueueItem | null>(null);
  const waiting = items.filter(({ id }) => ids.includes(id));
  return (
    <div className="stack">
      <p className="step">{words.say("field.step", { n: 3, of: 3 })}</p>
      <div className="note">
        <h2>{words.say("field.waiting-reader")}</h2>
        <p>{words.say("field.waiting-how")}</p>
      </div>
      <p role="status">
        {words.say("field.arrived", { n: ids.length - waiting.length, of: ids.length })}
      </p>
      <QueueList
        items={waiting}
        isSending={outbox.isSending}
        decide={(item, what) => {
          if (what === "discard") setAsked(item);
          else void outbox.send(item.id);
        }}
      />
      {asked && (
        <Confirm
          title={words.say("queue.discard")}
          text={words.say("queue.discard-text", { title: titleOf(asked, words) })}
          act={words.say("queue.discard")}
          confirm={() => void outbox.discard(asked.id).then(() => setAsked(null))}
          close={() => setAsked(null)}
        />
      )}
      <div className="actions thumb">
        <button type="button" className="primary" onClick={next}>
          {words.say("field.next-patient")}
        </button>
      </div>
    </div>
  );
}
