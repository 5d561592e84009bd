/**
 * Signing out: first what is not saved or not sent yet is sent. What cannot be sent is named, and
 * the person says whether it is discarded; nothing is lost silently.
 */

import { useState } from "react";
import { useDesk } from "../parts/app_context";
import { Confirm, Dialog } from "../parts/dialog";
import { draftsOf } from "../parts/drafts";
import { QueueList } from "../parts/queue_list";
import { useQueue } from "../parts/use_device";

type Asking = "unsaved" | "unsent";

export function SignOut() {
  const { words, apis } = useDesk();
  const { outbox, items } = useQueue();
  const [asks, setAsks] = useState<Asking | null>(null);
  const [failed, setFailed] = useState(false);
  const leave = async () => {
    await apis.device.close().catch(() => undefined);
    await apis.session.signOut().catch(() => undefined);
    location.reload();
  };
  const begin = async () => {
    const drafts = draftsOf(apis.readings);
    const saved = await Promise.all([drafts.reading.settle(), drafts.arbitration.settle()]);
    await outbox.send().catch(() => undefined);
    if (outbox.items.length > 0) setAsks("unsent");
    else if (saved.every(Boolean)) await leave();
    else setAsks("unsaved");
  };
  const discard = async () => {
    for (const { id } of outbox.items) await outbox.discard(id);
    await leave();
  };
  const sendFirst = async () => {
    await outbox.send().catch(() => undefined);
    if (outbox.items.length === 0) await leave();
    else setFailed(true);
  };
  return (
    <>
      <button type="button" className="quiet" onClick={() => void begin()}>
        {words.say("app.sign-out")}
      </button>
      {asks === "unsaved" && (
        <Confirm
          title={words.say("app.sign-out")}
          text={words.say("app.sign-out-unsaved")}
          act={words.say("app.sign-out-anyway")}
          confirm={() => void leave()}
          close={() => setAsks(null)}
        />
      )}
      {asks === "unsent" && (
        <Dialog title={words.say("app.sign-out-unsent")} close={() => setAsks(null)}>
          <p>{words.say("app.sign-out-unsent-how")}</p>
          <QueueList items={items} isSending={outbox.isSending} />
          {failed && (
            <p className="note note-bad" role="alert">
              {words.say("app.sign-out-still", { n: items.length })}
            </p>
          )}
          <div className="actions">
            <button type="button" className="primary" onClick={() => void sendFirst()}>
              {words.say("app.sign-out-send")}
            </button>
            <button type="button" className="danger" onClick={() => void discard()}>
              {words.say("app.sign-out-discard", { n: items.length })}
            </button>
          </div>
        </Dialog>
      )}
    </>
  );
}
