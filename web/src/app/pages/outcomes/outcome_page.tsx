/** One outcome: the text of its report with the proving sentences, and what a person decides. */

import { useState } from "react";
import type { ExamChoice, OutcomeDetail, Side } from "../../api/outcomes";
import { OUTCOME_WORDS, standing, textParts, typedNumber } from "../../logic/outcomes";
import { hashTo } from "../../logic/route";
import { dateTimeWords, dateWords, nameWords } from "../../logic/times";
import { useDesk } from "../../parts/app_context";
import { Busy, Choice, ProblemNote, SelectField, TextField } from "../../parts/form";
import { useAction, useLoad, useTitle } from "../../parts/hooks";
import { outcomeWords, reasonWords, sideWords } from "./words";

const NO_EXAM = "";
const NO_FINDING = "";

export default function OutcomePage({ id }: { id: number }) {
  const { words, apis } = useDesk();
  useTitle(words.say("outcome.title"));
  const { data, problem, reload } = useLoad(() => apis.outcomes.show(id), `outcome ${id}`);
  return (
    <section className="page">
      <header className="page-head">
        <a href={hashTo("outcomes")}>‹ {words.say("page.outcomes")}</a>
        <h1>{words.say("outcome.title")}</h1>
      </header>
      <ProblemNote problem={problem} />
      {data === null && problem === null && <Busy text={words.say("app.loading")} />}
      {data && (
        <div className="outcome-parts">
          <Report detail={data} />
          <div className="stack">
            {data.row.reasons.length > 0 && (
              <ul className="note note-warning">
                {data.row.reasons.map(([code, detail]) => (
                  <li key={`${code} ${detail}`}>{reasonWords(words, code, detail)}</li>
                ))}
              </ul>
            )}
            {data.row.state === "withdrawn" ? (
              <p className="note">{words.say("outcome.state-withdrawn")}</p>
            ) : (
              <DecisionForm key={data.row.version} detail={data} done={reload} />
            )}
            <Decisions detail={data} />
          </div>
        </div>
      )}
    </section>
  );
}

function Report({ detail }: { detail: OutcomeDetail }) {
  const { words } = useDesk();
  return (
    <article aria-label={words.say("outcome.report")}>
      <h2>{words.say("outcome.report")}</h2>
      <p className="quiet">{words.say("outcome.evidence-how")}</p>
      <pre className="report-text">
        {textParts(detail.text, detail.evidence).map(({ text, fields, start }) =>
          fields.length === 0 ? (
            <span key={start}>{text}</span>
          ) : (
            <mark key={start} title={fields.join(", ")}>
              {text}
            </mark>
          ),
        )}
      </pre>
    </article>
  );
}

function DecisionForm({ detail, done }: { detail: OutcomeDetail; done(): void }) {
  const { words, apis, announce } = useDesk();
  const { isBusy, problem, run } = useAction();
  const before = standing(detail.row);
  const [outcome, setOutcome] = useState(before.outcome ?? "");
  const [side, setSide] = useState<Side | null>(before.laterality ?? null);
  const [exam, setExam] = useState(
    detail.row.exam_id === null ? NO_EXAM : String(detail.row.exam_id),
  );
  const [size, setSize] = useState(String(before.size_mm ?? ""));
  const [positive, setPositive] = useState(String(before.nodes_positive ?? ""));
  const [examined, setExamined] = useState(String(before.nodes_examined ?? ""));
  const findings = detail.places.flatMap((place) =>
    place.findings.map(
      (n) => [`${place.sop_instance_uid} ${n}`, `${place.view}, ${n + 1}`] as const,
    ),
  );
  const [finding, setFinding] = useState(
    findings.length === 1 ? (findings[0]?.[0] ?? NO_FINDING) : NO_FINDING,
  );
  const numbers = [size, positive, examined].map(typedNumber);
  const isWrong = numbers.some((one) => one !== null && !(one >= 0)) || numbers[0] === 0;
  const send = () =>
    run(async () => {
      const [image, number] = finding.split(" ");
      await apis.outcomes.decide(detail.row.id, {
        version: detail.row.version,
        exam_id: exam === NO_EXAM ? null : Number(exam),
        outcome,
        laterality: side,
        size_mm: numbers[0] ?? null,
        nodes_positive: numbers[1] ?? null,
        nodes_examined: numbers[2] ?? null,
        finding: image && number ? [image, Number(number)] : null,
      });
      announce(words.say("outcome.decided"));
      done();
    });
  return (
    <form
      className="stack"
      onSubmit={(event) => {
        event.preventDefault();
        void send();
      }}
    >
      <h2>{words.say("outcome.decide")}</h2>
      <SelectField
        label={words.say("outcome.outcome")}
        value={outcome}
        change={setOutcome}
        options={[
          ["", words.say("app.choose")],
          ...OUTCOME_WORDS.map((one) => [one, outcomeWords(words, one)] as const),
        ]}
      />
      <Choice<Side>
        label={words.say("outcome.side")}
        value={side}
        change={setSide}
        options={[
          ["R", words.say("outcome.side-R")],
          ["L", words.say("outcome.side-L")],
        ]}
      />
      <SelectField
        label={words.say("column.exam")}
        hint={words.say("outcome.exam-how")}
        value={exam}
        change={setExam}
        options={[
          [NO_EXAM, words.say("outcome.no-exam")],
          ...detail.candidates.map(
            (one) => [String(one.id), choiceWords(one, words.locale)] as const,
          ),
        ]}
      />
      {findings.length > 0 && (
        <SelectField
          label={words.say("outcome.finding")}
          value={finding}
          change={setFinding}
          options={[[NO_FINDING, words.say("outcome.no-finding")], ...findings]}
        />
      )}
      <TextField label={words.say("outcome.size")} value={size} change={setSize} />
      <TextField
        label={words.say("outcome.nodes-positive")}
        value={positive}
        change={setPositive}
      />
      <TextField
        label={words.say("outcome.nodes-examined")}
        value={examined}
        change={setExamined}
      />
      <ProblemNote problem={problem} />
      <div className="actions">
        <button type="submit" className="primary" disabled={isBusy || isWrong || outcome === ""}>
          {words.say("outcome.confirm")}
        </button>
        {detail.row.exam_id !== null && (
          <a className="button" href={hashTo("exams", detail.row.exam_id)}>
            {words.say("outcome.open-exam")}
          </a>
        )}
      </div>
    </form>
  );
}

function choiceWords(one: ExamChoice, locale: string): string {
  const day = one.study_date && dateWords(one.study_date, locale);
  const born = one.birth_date && `* ${dateWords(one.birth_date, locale)}`;
  const parts = [day, nameWords(one.patient_name), one.patient_id, born, one.accession_number];
  return parts.filter(Boolean).join(" · ");
}

function Decisions({ detail }: { detail: OutcomeDetail }) {
  const { words } = useDesk();
  if (detail.decisions.length === 0) return null;
  return (
    <section>
      <h2>{words.say("outcome.history")}</h2>
      <ul>
        {detail.decisions.map(({ person, at, proposed, decided }) => (
          <li key={at}>
            {words.say("outcome.history-line", {
              person,
              time: dateTimeWords(at, words.locale),
              proposed: `${outcomeWords(words, proposed.outcome)}, ${sideWords(words, proposed.laterality ?? null)}`,
              decided: `${outcomeWords(words, decided.outcome)}, ${sideWords(words, decided.laterality ?? null)}`,
            })}
          </li>
        ))}
      </ul>
    </section>
  );
}
