/** Second opinions that this person was asked for, or asked for. */

import { useEffect } from "react";
import type { Opinion } from "../../api/types";
import { hashTo } from "../../logic/route";
import { dateTimeWords, nameWords } from "../../logic/times";
import { useDesk } from "../../parts/app_context";
import { ProblemNote } from "../../parts/form";
import { useAction, useGrowing } from "../../parts/hooks";
import { ListPage, Table } from "../../parts/list_page";

export default function OpinionsPage() {
  const { words, apis, events, person } = useDesk();
  const list = useGrowing(apis.readings.opinions, "opinions");
  const action = useAction();
  useEffect(() => events.listen(list.reload), [events, list.reload]);
  const end = (opinion: Opinion) =>
    action.run(async () => {
      await apis.readings.endOpinion(opinion.id);
      list.reload();
    });
  return (
    <ListPage
      title={words.say("page.opinions")}
      how={words.say("opinion.list-how")}
      empty={words.say("opinion.none")}
      list={list}
      more={list.more}
    >
      {(opinions) => (
        <>
          <ProblemNote problem={action.problem} />
          <Table
            items={opinions}
            id={(one) => one.id}
            rowClass={(one) => (isDue(one) && one.person.id === person.id ? "due" : "")}
            columns={[
              {
                title: words.say("column.exam"),
                cell: (one) => (
                  <a href={hashTo("exams", one.exam_id)}>
                    {nameWords(one.patient_name ?? null) ??
                      words.say("exam.number", { n: one.exam_id })}
                  </a>
                ),
              },
              { title: words.say("opinion.question"), cell: (one) => one.question },
              { title: words.say("opinion.asked-by"), cell: (one) => one.asked_by.name },
              { title: words.say("opinion.reader"), cell: (one) => one.person.name },
              {
                title: words.say("opinion.asked-at"),
                cell: (one) => dateTimeWords(one.created_at, words.locale),
              },
              {
                title: words.say("column.status"),
                cell: (one) => (
                  <>
                    {words.say(`opinion.${stateOf(one)}`)}
                    {isDue(one) && one.asked_by.id === person.id && (
                      <button
                        type="button"
                        className="quiet"
                        disabled={action.isBusy}
                        onClick={() => void end(one)}
                      >
                        {words.say("opinion.end")}
                      </button>
                    )}
                  </>
                ),
              },
            ]}
          />
        </>
      )}
    </ListPage>
  );
}

function stateOf(opinion: Opinion): "open" | "answered" | "ended" {
  if (opinion.state === "signed") return "answered";
  return opinion.ended_at === null ? "open" : "ended";
}

const isDue = (opinion: Opinion) => stateOf(opinion) === "open";
