/** Outcomes of biopsies that wait for a person, or all of them. */

import { useEffect, useState } from "react";
import type { Outcome } from "../../api/outcomes";
import { standing } from "../../logic/outcomes";
import { hashTo } from "../../logic/route";
import { dateWords } from "../../logic/times";
import { useDesk } from "../../parts/app_context";
import { useGrowing } from "../../parts/hooks";
import { ListPage, Table } from "../../parts/list_page";
import { OutcomeWord, reasonWords, sideWords } from "./words";

export default function OutcomeQueuePage() {
  const { words, apis, events } = useDesk();
  const [isAll, setAll] = useState(false);
  const list = useGrowing(
    (before) => apis.outcomes.list(before, isAll ? null : "waiting"),
    `outcomes ${isAll}`,
  );
  useEffect(() => events.listen(list.reload), [events, list.reload]);
  return (
    <ListPage
      title={words.say("page.outcomes")}
      how={words.say("outcome.how")}
      empty={words.say("outcome.none")}
      list={list}
      more={list.more}
      actions={
        <label className="check">
          <input
            type="checkbox"
            checked={isAll}
            onChange={(event) => setAll(event.target.checked)}
          />
          {words.say("outcome.all")}
        </label>
      }
    >
      {(outcomes) => (
        <Table<Outcome>
          items={outcomes}
          id={(one) => one.id}
          rowClass={(one) => (one.state === "waiting" ? "due" : "")}
          columns={[
            {
              title: words.say("outcome.taken"),
              cell: (one) => (
                <a href={hashTo("outcomes", one.id)}>
                  {one.taken ? dateWords(one.taken, words.locale) : words.say("outcome.no-date")}
                </a>
              ),
            },
            {
              title: words.say("outcome.side"),
              cell: (one) => sideWords(words, standing(one).laterality ?? null),
            },
            {
              title: words.say("outcome.outcome"),
              cell: (one) => <OutcomeWord values={standing(one)} />,
            },
            {
              title: words.say("outcome.reasons"),
              cell: (one) => (
                <ul className="doubts">
                  {one.reasons.map(([code, detail]) => (
                    <li key={`${code} ${detail}`}>{reasonWords(words, code, detail)}</li>
                  ))}
                </ul>
              ),
            },
            {
              title: words.say("column.status"),
              cell: (one) => words.say(`outcome.state-${one.state}`),
            },
            {
              title: words.say("column.exam"),
              cell: (one) =>
                one.exam_id && <a href={hashTo("exams", one.exam_id)}>{one.exam_id}</a>,
            },
          ]}
        />
      )}
    </ListPage>
  );
}
