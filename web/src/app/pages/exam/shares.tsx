/** Links for the referring doctor: made, shown once, listed, revoked. */

import { useState } from "react";
import type { NewShare, Share } from "../../api/shares";
import type { Reading } from "../../api/types";
import { dateTimeWords } from "../../logic/times";
import { useDesk } from "../../parts/app_context";
import { Confirm, Dialog } from "../../parts/dialog";
import { ProblemNote } from "../../parts/form";
import { useAction, useLoad } from "../../parts/hooks";

export function Shares({ reading }: { reading: Reading }) {
  const { words, apis, announce } = useDesk();
  const action = useAction();
  const exam = reading.exam_id;
  const list = useLoad(() => apis.shares.list(exam), `shares ${exam}`);
  const [made, setMade] = useState<NewShare | null>(null);
  const [asked, setAsked] = useState<Share | null>(null);
  const mine = (list.data ?? []).filter((one) => one.reading_id === reading.id);
  if (reading.role === "opinion") return null;
  const make = () =>
    action.run(async () => {
      setMade(await apis.shares.make(exam, reading.id));
      list.reload();
    });
  const revoke = (share: Share) =>
    action.run(async () => {
      setAsked(null);
      await apis.shares.revoke(exam, share.id);
      list.reload();
      announce(words.say("share.revoked"));
    });
  return (
    <section className="shares stack">
      <h4>{words.say("share.links")}</h4>
      <p className="quiet">{words.say("share.links-how")}</p>
      {mine.length > 0 && (
        <ul className="queue">
          {mine.map((share) => (
            <li key={share.id} className="queue-item">
              <span>
                {words.say("share.made", {
                  name: share.made_by,
                  time: dateTimeWords(share.created_at, words.locale),
                })}
              </span>
              <span className="quiet">{stateWords(share, words)}</span>
              {isOpen(share) && (
                <div className="actions">
                  <button
                    type="button"
                    className="danger"
                    disabled={action.isBusy}
                    onClick={() => setAsked(share)}
                  >
                    {words.say("share.revoke")}
                  </button>
                </div>
              )}
            </li>
          ))}
        </ul>
      )}
      <ProblemNote problem={action.problem ?? list.problem} />
      <div className="actions">
        <button type="button" disabled={action.isBusy} onClick={() => void make()}>
          {words.say("share.make")}
        </button>
      </div>
      {made && <Made made={made} close={() => setMade(null)} />}
      {asked && (
        <Confirm
          title={words.say("share.revoke")}
          text={words.say("share.revoke-text")}
          act={words.say("share.revoke")}
          confirm={() => void revoke(asked)}
          close={() => setAsked(null)}
        />
      )}
    </section>
  );
}

function Made({ made, close }: { made: NewShare; close(): void }) {
  const { words, announce } = useDesk();
  const link = `${location.origin}/share#${made.token}`;
  const code = `${made.code.slice(0, 4)} ${made.code.slice(4)}`;
  const copy = (text: string) =>
    void navigator.clipboard?.writeText(text).then(() => announce(words.say("share.copied")));
  return (
    <Dialog title={words.say("share.made-now")} close={close}>
      <div className="stack">
        <p>{words.say("share.once")}</p>
        <p className="share-secret">
          <span>{words.say("share.link")}</span>
          <code>{link}</code>
          <button type="button" onClick={() => copy(link)}>
            {words.say("share.copy-link")}
          </button>
        </p>
        <p className="share-secret">
          <span>{words.say("share.code")}</span>
          <code className="share-code">{code}</code>
        </p>
        <p className="note note-warning">{words.say("share.two-ways")}</p>
        <p className="quiet">
          {words.say("share.until", {
            time: dateTimeWords(made.share.expires_at, words.locale),
          })}
        </p>
      </div>
    </Dialog>
  );
}

function isOpen(share: Share): boolean {
  return share.revoked_at === null && !share.is_locked && Date.parse(share.expires_at) > Date.now();
}

function stateWords(share: Share, words: ReturnType<typeof useDesk>["words"]): string {
  const time = (iso: string) => dateTimeWords(iso, words.locale);
  const opened = share.opened_at
    ? words.say("share.opened", { n: share.openings, time: time(share.opened_at) })
    : words.say("share.never-opened");
  if (share.is_locked) return `${words.say("share.is-locked")} ${opened}`;
  if (share.revoked_at !== null || Date.parse(share.expires_at) <= Date.now()) {
    return `${words.say("share.is-over")} ${opened}`;
  }
  return `${words.say("share.until", { time: time(share.expires_at) })} ${opened}`;
}
