import { hashTo } from "../../logic/route";
import { useDesk } from "../../parts/app_context";

export function NextExam({ next }: { next: number | null }) {
  const { words } = useDesk();
  return next === null ? (
    <a className="button next-exam" href={hashTo("worklist")}>
      {words.say("exam.back")}
    </a>
  ) : (
    <a className="button primary next-exam" href={hashTo("exams", next)}>
      {words.say("exam.next")} ›
    </a>
  );
}
