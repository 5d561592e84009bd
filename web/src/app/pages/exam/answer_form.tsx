/** The form of a reading: assessment of each breast, density, recall, findings, comment. */

import type { ExamImage } from "../../../viewer/exam";
import type { Answers, BiRads, Breast, Density } from "../../api/types";
import {
  BIRADS,
  BREASTS,
  DENSITIES,
  type Missing,
  withBirads,
  withDensity,
  withFinding,
} from "../../logic/answers";
import { useDesk } from "../../parts/app_context";
import { Choice } from "../../parts/form";
import { Findings } from "./findings";

export interface AnswerFormProps {
  readonly answers: Answers;
  readonly imaged: readonly Breast[];
  readonly images: readonly ExamImage[];
  readonly missing: readonly Missing[];
  change(answers: Answers): void;
  showMark(id: string): void;
}

const LONGEST_COMMENT = 4000;

export function AnswerForm(props: AnswerFormProps) {
  const { words } = useDesk();
  const { answers, imaged, missing, change } = props;
  const recall = answers.recall === null ? null : answers.recall ? "yes" : "no";
  return (
    <>
      {BREASTS.map((breast) => (
        <section
          key={breast}
          className={`breast breast-${breast}`}
          aria-label={words.say(`breast.${breast}`)}
        >
          <h3>{words.say(`breast.${breast}`)}</h3>
          {imaged.includes(breast) ? (
            <>
              <Choice<BiRads>
                label={words.say("reading.birads")}
                value={answers.assessments[breast].birads}
                options={BIRADS.map((one) => [one, one, words.say(`birads.${one}`)] as const)}
                change={(to) => change(withBirads(answers, breast, to))}
                isMissing={missing.includes(`birads-${breast}`)}
              />
              <p className="quiet birads-words">
                {answers.assessments[breast].birads !== null &&
                  words.say(`birads.${answers.assessments[breast].birads}`)}
              </p>
              <Choice<Density>
                label={words.say("reading.density")}
                value={answers.density[breast]}
                options={DENSITIES.map((one) => [one, one, words.say(`density.${one}`)] as const)}
                change={(to) => change(withDensity(answers, breast, to))}
              />
            </>
          ) : (
            <p className="quiet">{words.say("reading.no-picture")}</p>
          )}
        </section>
      ))}
      <Choice<"yes" | "no">
        label={words.say("reading.recall")}
        value={recall}
        options={[
          ["yes", words.say("reading.recall-yes")],
          ["no", words.say("reading.recall-no")],
        ]}
        change={(to) => change({ ...answers, recall: to === null ? null : to === "yes" })}
        isMissing={missing.includes("recall")}
      />
      <Findings
        findings={answers.findings}
        images={props.images}
        showMark={props.showMark}
        rate={(id, birads) => change(withFinding(answers, id, { birads }))}
      />
      <div className="field">
        <label htmlFor="reading-comment">{words.say("reading.comment")}</label>
        <textarea
          id="reading-comment"
          rows={3}
          maxLength={LONGEST_COMMENT}
          value={answers.comment}
          aria-invalid={missing.includes("comment") || undefined}
          onChange={(event) => change({ ...answers, comment: event.target.value })}
        />
      </div>
      <details className="urgent" open={answers.urgent !== "" || undefined}>
        <summary>{words.say("reading.urgent")}</summary>
        <div className="field">
          <label htmlFor="reading-urgent">{words.say("reading.urgent-how")}</label>
          <textarea
            id="reading-urgent"
            rows={2}
            maxLength={LONGEST_COMMENT}
            value={answers.urgent}
            onChange={(event) => change({ ...answers, urgent: event.target.value })}
          />
        </div>
      </details>
    </>
  );
}
