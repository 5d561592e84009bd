/**
 * The last step: the images wait for a reader. What could not be received is named, with the reason
 * and a way to make it again with the same consent. Nothing else is said of the images.
 */

import { useState } from "react";
import type { QueueItem } from "../../device/queue_items";
import type { Slot } from "../../logic/field";
import { useDesk } from "../../parts/app_context";
import { Confirm } from "../../parts/dialog";
import { QueueList, titleOf } from "../../parts/queue_list";
import { useQueue } from "../../parts/use_device";
import { isUseless, Outcomes, slotOf } from "./outcomes";
import type { Arrived } from "./use_results";

export interface SentStepProps {
  readonly ids: readonly string[];
  readonly arrived: readonly Arrived[];
  /** Makes these views again. */
  again(wanted: readonly Slot[]): void;
  next(): void;
}

export function SentStep({ ids, arrived, again, next }: SentStepProps) {
  const { words, apis } = useDesk();
  const { outbox, items } = useQueue();
  const [asked, setAsked] = useState<QueueItem | null>(null);
  const waiting = items.filter(({ id }) => ids.includes(id));
  const ours = arrived.filter(({ id }) => ids.includes(id));
  const useless = ours.filter(({ result }) => result !== null && isUseless(result));
  const refused = useless.flatMap(({ name }) => slotOf(name) ?? []);
  /** They are being made again: nobody need be told of them later. */
  const makeAgain = () => {
    for (const { url } of useless) void apis.uploads.cancel({ url }).catch(() => undefined);
    again(refused);
  };
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
      {refused.length > 0 && (
        <p className="note note-bad" role="alert">
          {words.say("field.refused-how")}
        </p>
      )}
      {ours.length > 0 && <Outcomes of={ours} />}
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
        {refused.length > 0 && (
          <button type="button" className="primary" onClick={makeAgain}>
            {words.say("field.again", { n: refused.length })}
          </button>
        )}
        <button type="button" className={refused.length > 0 ? "" : "primary"} onClick={next}>
          {words.say("field.next-patient")}
        </button>
      </div>
    </div>
  );
}
