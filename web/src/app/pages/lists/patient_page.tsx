/** All exams of a patient within one site, the newest first. */

import { useEffect } from "react";
import { nameWords } from "../../logic/times";
import { useDesk } from "../../parts/app_context";
import { useLoad } from "../../parts/hooks";
import { ListPage } from "../../parts/list_page";
import { ExamTable } from "../worklist/exam_table";
import { rememberList } from "../worklist/memory";

export default function PatientPage({ patient }: { patient: string }) {
  const { words, apis } = useDesk();
  const list = useLoad(() => apis.exams.ofPatient(patient), patient);
  const name = nameWords(list.data?.[0]?.patient.name ?? null);
  useEffect(() => {
    if (list.data !== null) rememberList(location.hash, list.data);
  }, [list.data]);
  return (
    <ListPage
      title={name ?? words.say("page.patients")}
      how={words.say("patient.list-how")}
      empty={words.say("worklist.none-found")}
      list={list}
    >
      {(rows) => <ExamTable rows={rows} selected={-1} isMarked={false} select={() => undefined} />}
    </ListPage>
  );
}
