/** A signed reading: what was answered, the report for the referrer, addenda, the next exam. */

import { useState } from "react";
import type { Reading } from "../../api/types";
import { newKey } from "../../logic/request_keys";
import { dateTimeWords } from "../../logic/times";
import { useDesk } from "../../parts/app_context";
import { ProblemNote } from "../../parts/form";
import { useAction } from "../../parts/hooks";
import { useFinish } from "../../parts/use_finish";
import { AnswerSummary } from "./answer_summary";
import { NextExam } from "./next_exam";
import type { PanelProps } from "./panel_props";
import { Shares } from "./shares";

const EXPORTS = ["sr", "gsps", "fhir", "hl7"] as const;

type SignedProps = PanelProps & { readonly reading: Reading };

export function Signed(props: SignedProps) {
  const { words } = useDesk();
  const { facts, reading, next } = props;
  const { images } = facts.exam;
  const time = reading.signed_at ? dateTimeWords(reading.signed_at, words.locale) : "";
  return (
    <div className="stack">
      <p className="note note-good">
        {words.say("reading.is-signed", { name: reading.person.name, time })}
      </p>
      <div className="actions">
        <NextExam next={next} />
      </div>
      <AnswerSummary
        title={words.say("reading.final-answer")}
        answers={reading}
        before={reading.first_answer}
        images={images}
        showMark={props.showMark}
      />
      {reading.first_answer && reading.after_ai?.agreed === false && (
        <details>
          <summary>{words.say("reading.first-answer")}</summary>
          <AnswerSummary
            title={words.say("reading.first-answer")}
            answers={reading.first_answer}
            images={images}
          />
        </details>
      )}
      <ReportLinks reading={reading} />
      <Addenda {...props} />
    </div>
  );
}

export function ReportLinks({ reading }: { reading: Reading }) {
  const { words, apis } = useDesk();
  return (
    <section className="report-links">
      <h3>{words.say("report.title")}</h3>
      <div className="actions">
        <a
          className="button"
          target="_blank"
          rel="noreferrer"
          href={apis.readings.reportUrl(reading.id, "html")}
        >
          {words.say("report.page")}
        </a>
        <a className="button" href={apis.readings.reportUrl(reading.id, "pdf")} download>
          {words.say("report.pdf")}
        </a>
      </div>
      <p className="quiet">
        {words.say("report.exports")}{" "}
        {EXPORTS.map((kind) => (
          <a key={kind} href={apis.readings.exportUrl(reading.id, kind)} download>
            {words.say(`report.${kind}`)}
          </a>
        ))}
      </p>
      <Shares reading={reading} />
    </section>
  );
}

function Addenda({ facts, reading, draft, refresh }: SignedProps) {
  const { words, apis, announce } = useDesk();
  const [text, setText] = useState("");
  const action = useAction();
  const keeping = useFinish(facts.detail);
  return (
    <section className="addenda">
      <h3>{words.say("addendum.title")}</h3>
      <p className="quiet">{words.say("addendum.how")}</p>
      {reading.addenda.map((addendum) => (
        <blockquote key={addendum.id}>
          <p className="comment">{addendum.text}</p>
          <footer>
            {addendum.person.name}, {dateTimeWords(addendum.created_at, words.locale)}
          </footer>
        </blockquote>
      ))}
      <form
        className="stack"
        onSubmit={(event) => {
          event.preventDefault();
          void action.run(async () => {
            const added = text.trim();
            const key = newKey();
            const made = await keeping.orKeep(
              () => apis.readings.addAddendum(reading, added, key),
              () => ({ reading, steps: [{ key, act: "addendum", text: added }] }),
            );
            setText("");
            if (made === null) return;
            draft.desk.replace(made);
            await refresh();
            announce(words.say("addendum.added"));
          });
        }}
      >
        <div className="field">
          <label htmlFor="addendum">{words.say("addendum.text")}</label>
          <textarea
            id="addendum"
            rows={2}
            maxLength={4000}
            value={text}
            onChange={(event) => setText(event.target.value)}
          />
        </div>
        <ProblemNote problem={action.problem} />
        <button type="submit" disabled={action.isBusy || text.trim() === ""}>
          {words.say("addendum.add")}
        </button>
      </form>
    </section>
  );
}
