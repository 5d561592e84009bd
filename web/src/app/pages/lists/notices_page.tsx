/** Urgent findings that the referrer must know of, until somebody has acknowledged them. */

import { useEffect } from "react";
import type { Notice } from "../../api/types";
import { dateTimeWords } from "../../logic/times";
import { useDesk } from "../../parts/app_context";
import { ExamLink } from "../../parts/exam_link";
import { ProblemNote } from "../../parts/form";
import { useAction, useGrowing } from "../../parts/hooks";
import { ListPage, Table } from "../../parts/list_page";

export default function NoticesPage() {
  const { words, apis, events, announce } = useDesk();
  const list = useGrowing(apis.followUp.notices, "notices");
  const action = useAction();
  useEffect(() => events.listen(list.reload), [events, list.reload]);
  const acknowledge = (notice: Notice) =>
    action.run(async () => {
      await apis.followUp.acknowledge(notice.id);
      announce(words.say("notice.acknowledged"));
      list.reload();
    });
  return (
    <ListPage
      title={words.say("page.notices")}
      how={words.say("notice.how")}
      empty={words.say("notice.none")}
      list={list}
      more={list.more}
    >
      {(notices) => (
        <>
          <ProblemNote problem={action.problem} />
          <Table
            items={notices}
            id={(one) => one.id}
            rowClass={(one) => (one.acknowledged_at === null ? "due" : "")}
            columns={[
              {
                title: words.say("column.patient"),
                cell: (one) => <ExamLink of={one} />,
              },
              { title: words.say("notice.text"), cell: (one) => one.text },
              { title: words.say("notice.from"), cell: (one) => one.person.name },
              {
                title: words.say("notice.since"),
                cell: (one) => dateTimeWords(one.created_at, words.locale),
              },
              {
                title: words.say("column.status"),
                cell: (one) =>
                  one.acknowledged_at === null ? (
                    <button
                      type="button"
                      className="primary"
                      disabled={action.isBusy}
                      onClick={() => void acknowledge(one)}
                    >
                      {words.say("notice.acknowledge")}
                    </button>
                  ) : (
                    words.say("notice.acknowledged-by", {
                      name: one.acknowledged_by ?? "–",
                      time: dateTimeWords(one.acknowledged_at, words.locale),
                    })
                  ),
              },
            ]}
          />
        </>
      )}
    </ListPage>
  );
}
