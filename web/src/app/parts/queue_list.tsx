/** What waits on this device, by name, with what the person can do about each. */

import type { QueueItem } from "../device/queue_items";
import { hashTo } from "../logic/route";
import { dateTimeWords } from "../logic/times";
import type { AppKey, AppWords } from "../messages/text";
import { useFrame } from "./app_context";

export function titleOf(item: QueueItem, words: AppWords): string {
  if (item.kind === "upload") return words.say("queue.upload", { name: item.name });
  const act = item.steps.at(-1)?.act ?? "save";
  return words.say(`queue.${act}`, { title: item.title });
}

export interface QueueListProps {
  readonly items: readonly QueueItem[];
  readonly isSending: boolean;
  /** Left out: the items are only named. */
  decide?(item: QueueItem, what: "send" | "discard"): void;
}

export function QueueList({ items, isSending, decide }: QueueListProps) {
  const { words } = useFrame();
  return (
    <ul className="queue">
      {items.map((item) => (
        <li key={item.id} className={`queue-item queue-${item.state}`}>
          <strong>{titleOf(item, words)}</strong>
          <span className="quiet">
            {dateTimeWords(new Date(item.createdAt).toISOString(), words.locale)}
          </span>
          <StateLine item={item} isSending={isSending} />
          {decide && (
            <div className="actions">
              {item.kind === "reading" && (
                <a className="button" href={hashTo("exams", item.exam)}>
                  {words.say("queue.open")}
                </a>
              )}
              {(item.state === "conflict" || item.state === "refused") && (
                <button type="button" onClick={() => decide(item, "send")}>
                  {words.say("queue.again")}
                </button>
              )}
              <button type="button" className="danger" onClick={() => decide(item, "discard")}>
                {words.say("queue.discard")}
              </button>
            </div>
          )}
        </li>
      ))}
    </ul>
  );
}

function StateLine({ item, isSending }: { item: QueueItem; isSending: boolean }) {
  const { words } = useFrame();
  if (item.state === "waiting") {
    const sent = item.kind === "upload" && item.bytes > 0 ? item.sent / item.bytes : 0;
    return (
      <p role="status">
        {words.say(isSending ? "queue.sending" : "queue.waiting")}
        {sent > 0 && ` (${words.percent(sent)})`}
      </p>
    );
  }
  if (item.state === "keeping") return <p role="status">{words.say("queue.keeping")}</p>;
  const key = `problem.${item.code}`;
  const why = words.has(key) ? words.say(key as AppKey) : (item.code ?? "");
  return (
    <p className="note note-bad" role="alert">
      {words.say(`queue.${item.state}`, { why })}
    </p>
  );
}
