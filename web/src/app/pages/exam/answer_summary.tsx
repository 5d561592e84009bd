/** An answer that is not changed any more, in words. */

import type { ExamImage } from "../../../viewer/exam";
import type { Answers } from "../../api/types";
import { BREASTS, changesBetween } from "../../logic/answers";
import { useDesk } from "../../parts/app_context";
import { Findings } from "./findings";

export interface AnswerSummaryProps {
  readonly title: string;
  readonly answers: Answers;
  readonly images: readonly ExamImage[];
  showMark?(id: string): void;
  /** Answers before, so that what was changed is shown as changed. */
  readonly before?: Answers | null;
}

export function AnswerSummary({ title, answers, images, showMark, before }: AnswerSummaryProps) {
  const { words } = useDesk();
  const changed = new Set(before ? changesBetween(before, answers).map(({ what }) => what) : []);
  const recall =
    answers.recall === null
      ? words.say("reading.open")
      : words.say(answers.recall ? "reading.recall-yes" : "reading.recall-no");
  return (
    <section className="answer">
      <h3>{title}</h3>
      <dl className="facts">
        {BREASTS.map((breast) => {
          const { birads } = answers.assessments[breast];
          const density = answers.density[breast];
          const isChanged = changed.has(`birads-${breast}`) || changed.has(`density-${breast}`);
          return (
            <div key={breast} className={isChanged ? "changed" : ""}>
              <dt>{words.say(`breast.${breast}`)}</dt>
              <dd>
                {birads === null
                  ? words.say("reading.open")
                  : `${words.say("reading.birads-n", { n: birads })} – ${words.say(`birads.${birads}`)}`}
                {density && <small>{words.say("reading.density-n", { n: density })}</small>}
                {isChanged && <small>{words.say("reading.was-changed")}</small>}
              </dd>
            </div>
          );
        })}
        <div className={changed.has("recall") ? "changed" : ""}>
          <dt>{words.say("reading.recall")}</dt>
          <dd>
            {recall}
            {changed.has("recall") && <small>{words.say("reading.was-changed")}</small>}
          </dd>
        </div>
      </dl>
      <Findings findings={answers.findings} images={images} {...(showMark && { showMark })} />
      {answers.comment !== "" && <p className="comment">{answers.comment}</p>}
      {answers.urgent !== "" && (
        <p className="note note-warning comment">
          {words.say("reading.urgent-is", { text: answers.urgent })}
        </p>
      )}
    </section>
  );
}
