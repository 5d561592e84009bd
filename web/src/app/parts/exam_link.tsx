/** The patient of a row of a list, as a link to the exam. */

import { hashTo } from "../logic/route";
import { nameWords } from "../logic/times";
import { useDesk } from "./app_context";

interface OfExam {
  readonly exam_id: number;
  readonly patient_name?: string | null;
  readonly patient_id: string | null;
  readonly accession_number: string | null;
}

export function ExamLink({ of }: { readonly of: OfExam }) {
  const { words } = useDesk();
  return (
    <>
      <a href={hashTo("exams", of.exam_id)}>
        {nameWords(of.patient_name ?? null) ??
          of.patient_id ??
          words.say("exam.number", { n: of.exam_id })}
      </a>
      <small>{[of.patient_id, of.accession_number].filter(Boolean).join(" · ")}</small>
    </>
  );
}
