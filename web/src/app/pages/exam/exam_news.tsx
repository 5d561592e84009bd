/** What the reader must know about the exam before anything else. */

import { useDesk } from "../../parts/app_context";
import type { OpenExam } from "./use_exam";

export function ExamNews({ exam, failure }: { exam: OpenExam; failure: string | null }) {
  const { words } = useDesk();
  return (
    <>
      {exam.news === "revised" && (
        <div className="note note-warning" role="alert">
          <p>{words.say("exam.revised")}</p>
          <button type="button" className="primary" onClick={exam.openAgain}>
            {words.say("exam.take-revision")}
          </button>
        </div>
      )}
      {exam.news === "gone" && (
        <p className="note note-bad" role="alert">
          {words.say("exam.gone")}
        </p>
      )}
      {failure !== null && (
        <div className="note note-bad" role="alert">
          <p>{words.say("exam.viewer-failed", { reason: failure })}</p>
          <button type="button" onClick={exam.openAgain}>
            {words.say("app.try-again")}
          </button>
        </div>
      )}
    </>
  );
}
