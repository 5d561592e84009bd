/** Recalled patients, until the recall is closed with a reason. */

import { useEffect, useState } from "react";
import type { Recall } from "../../api/types";
import { dateTimeWords, waitingSince, waitingWords } from "../../logic/times";
import { useDesk } from "../../parts/app_context";
import { Dialog } from "../../parts/dialog";
import { ExamLink } from "../../parts/exam_link";
import { ProblemNote, TextField } from "../../parts/form";
import { useAction, useGrowing, useNow } from "../../parts/hooks";
import { ListPage, Table } from "../../parts/list_page";

const MINUTE_MS = 60_000;

export default function RecallsPage() {
  const { words, apis, events } = useDesk();
  const [isAll, setAll] = useState(false);
  const list = useGrowing((before) => apis.followUp.recalls(before, !isAll), `recalls ${isAll}`);
  const [closing, setClosing] = useState<Recall | null>(null);
  const now = useNow(MINUTE_MS);
  useEffect(() => events.listen(list.reload), [events, list.reload]);
  return (
    <ListPage
      title={words.say("page.recalls")}
      how={words.say("recall.how")}
      empty={words.say("recall.none")}
      list={list}
      more={list.more}
      actions={
        <label className="check">
          <input
            type="checkbox"
            checked={isAll}
            onChange={(event) => setAll(event.target.checked)}
          />
          {words.say("recall.all")}
        </label>
      }
    >
      {(recalls) => (
        <>
          <Table
            items={recalls}
            id={(one) => one.id}
            rowClass={(one) => (one.closed_at === null ? "due" : "")}
            columns={[
              {
                title: words.say("column.patient"),
                cell: (one) => <ExamLink of={one} />,
              },
              {
                title: words.say("recall.since"),
                cell: (one) => {
                  const waiting = waitingSince(one.created_at, now);
                  return (
                    <time dateTime={one.created_at}>
                      {dateTimeWords(one.created_at, words.locale)}
                      {one.closed_at === null && waiting && (
                        <small> {waitingWords(waiting, words.locale)}</small>
                      )}
                    </time>
                  );
                },
              },
              {
                title: words.say("column.status"),
                cell: (one) =>
                  one.closed_at === null ? (
                    <button type="button" onClick={() => setClosing(one)}>
                      {words.say("recall.close")}
                    </button>
                  ) : (
                    <>
                      {words.say("recall.closed", {
                        time: dateTimeWords(one.closed_at, words.locale),
                      })}
                      <small>{one.reason}</small>
                    </>
                  ),
              },
            ]}
          />
          {closing && (
            <CloseDialog
              recall={closing}
              close={() => setClosing(null)}
              done={() => {
                setClosing(null);
                list.reload();
              }}
            />
          )}
        </>
      )}
    </ListPage>
  );
}

function CloseDialog(props: { recall: Recall; close(): void; done(): void }) {
  const { words, apis, announce } = useDesk();
  const [reason, setReason] = useState("");
  const { isBusy, problem, run } = useAction();
  return (
    <Dialog title={words.say("recall.close")} close={props.close}>
      <form
        className="stack"
        onSubmit={(event) => {
          event.preventDefault();
          void run(async () => {
            await apis.followUp.close(props.recall.id, reason.trim());
            announce(words.say("recall.closed-now"));
            props.done();
          });
        }}
      >
        <TextField
          label={words.say("recall.reason")}
          hint={words.say("recall.reason-how")}
          value={reason}
          change={setReason}
          isRequired
          autoFocus
          maxLength={400}
        />
        <ProblemNote problem={problem} />
        <div className="actions">
          <button type="submit" className="primary" disabled={isBusy || reason.trim() === ""}>
            {words.say("recall.close")}
          </button>
        </div>
      </form>
    </Dialog>
  );
}
