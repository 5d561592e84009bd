/** What is known of the patient beside the pictures, and a form to state it. */

import { useState } from "react";
import type { AiDensity, Clinical, ExamDetail, Fusion } from "../../api/types";
import { worksOn } from "../../logic/rights";
import { dateWords } from "../../logic/times";
import type { AppKey } from "../../messages/text";
import { useDesk } from "../../parts/app_context";
import { ProblemNote } from "../../parts/form";
import { useAction, useLoad } from "../../parts/hooks";

export function ClinicalPanel({ detail, seesAi }: { detail: ExamDetail; seesAi: boolean }) {
  const { words, apis, person } = useDesk();
  const [saved, setSaved] = useState<Clinical | null>(null);
  const [isEditing, setEditing] = useState(false);
  const { data, problem } = useLoad(() => apis.exams.clinical(detail.id), `${detail.id}`);
  const known = saved ?? data;
  const site = detail.site?.id ?? null;
  const mayState = worksOn(person, site, "uploader") || worksOn(person, site, "reader");
  const done = (now: Clinical | null) => {
    if (now !== null) setSaved(now);
    setEditing(false);
  };
  return (
    <section className="clinical" aria-label={words.say("clinical.title")}>
      <h3>{words.say("clinical.title")}</h3>
      <ProblemNote problem={problem} />
      {known &&
        (isEditing ? <Form exam={detail} known={known} done={done} /> : <List of={known} />)}
      {known && seesAi && known.fusion !== null && <Added fusion={known.fusion} />}
      {known && seesAi && known.density !== null && <ByTheAi density={known.density} />}
      {known && mayState && !isEditing && (
        <button type="button" onClick={() => setEditing(true)}>
          {words.say("clinical.edit")}
        </button>
      )}
    </section>
  );
}

function useNames() {
  const { words } = useDesk();
  const named = (name: string) => words.say(`clinical.${name}` as AppKey);
  const sided = (name: string, side: "L" | "R" | null) =>
    side === null ? named(name) : `${named(name)}, ${words.say(`clinical.side.${side}`)}`;
  const chosen = (choice: string) => {
    const key = `clinical.choice.${choice}`;
    return words.has(key) ? words.say(key as AppKey) : choice;
  };
  return { named, sided, chosen };
}

function List({ of: known }: { of: Clinical }) {
  const { words } = useDesk();
  const { named, sided, chosen } = useNames();
  const shown = (value: string | number | boolean) => {
    if (typeof value === "number") return value.toLocaleString(words.locale, NUMBER);
    return chosen(typeof value === "boolean" ? (value ? "yes" : "no") : value);
  };
  return (
    <>
      {known.items.length === 0 && <p className="quiet">{words.say("clinical.none")}</p>}
      <dl className="facts">
        {known.items.map((item) => (
          <div key={`${item.name} ${item.laterality} ${item.source} ${item.shown}`}>
            <dt>{sided(item.name, item.laterality)}</dt>
            <dd>
              {item.is_used ? shown(item.value) : <s>{shown(item.value)}</s>}
              {!item.is_used && <small> {words.say("clinical.used-not")}</small>}
              <small className="quiet">
                {item.source},{" "}
                {item.date ? dateWords(item.date, words.locale) : words.say("clinical.no-date")}
              </small>
            </dd>
          </div>
        ))}
      </dl>
      {known.cautions.length > 0 && (
        <ul className="doubts">
          {known.cautions.map((caution) => (
            <li key={caution}>{caution}</li>
          ))}
        </ul>
      )}
      <p className="quiet">
        {words.say("clinical.unknown", { names: known.unknown.map(named).join("; ") })}
      </p>
    </>
  );
}

const NUMBER = { maximumFractionDigits: 1 } as const;
const SIGNED = { maximumFractionDigits: 2, signDisplay: "always" } as const;
const PERCENT = { style: "percent", maximumFractionDigits: 1 } as const;

/** Only for whom the AI may be shown; the server gives it to nobody else. */
function Added({ fusion }: { fusion: Fusion }) {
  const { words } = useDesk();
  const { named, sided } = useNames();
  const alone = fusion.images_malignancy?.toLocaleString(words.locale, PERCENT);
  return (
    <>
      {alone && <p>{words.say("clinical.alone", { percent: alone })}</p>}
      {fusion.contributions.length > 0 && (
        <table>
          <caption>{words.say("clinical.added")}</caption>
          <tbody>
            {fusion.contributions.map((one) => (
              <tr key={`${one.name} ${one.laterality}`}>
                <th scope="row">{sided(one.name, one.laterality)}</th>
                <td>{one.log_odds.toLocaleString(words.locale, SIGNED)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {fusion.missing.length > 0 && (
        <p className="quiet">
          {words.say("clinical.missing", { names: fusion.missing.map(named).join("; ") })}
        </p>
      )}
    </>
  );
}

/** Density by the AI, beside what people stated; only for whom the AI may be shown. */
function ByTheAi({ density }: { density: AiDensity }) {
  const { words } = useDesk();
  const shown = (category: AiDensity["category"]) =>
    category ?? words.say("clinical.density-unsure");
  const breasts = density.breasts
    .map((one) => `${words.say(`clinical.side.${one.laterality}`)} ${shown(one.category)}`)
    .join(", ");
  return (
    <p>
      {words.say("clinical.density-ai", {
        category: shown(density.category),
        breasts,
        source: density.source,
      })}
    </p>
  );
}

interface FormProps {
  readonly exam: ExamDetail;
  readonly known: Clinical;
  done(now: Clinical | null): void;
}

function Form({ exam, known, done }: FormProps) {
  const { words, apis } = useDesk();
  const { named, chosen } = useNames();
  const action = useAction();
  const [values, setValues] = useState<Readonly<Record<string, string>>>(() =>
    Object.fromEntries(known.fields.map((field) => [field.name, field.stated ?? ""])),
  );
  const [date, setDate] = useState(exam.study_date ?? "");
  const items = Object.entries(values)
    .filter(([, value]) => value.trim() !== "")
    .map(([name, value]) => ({ name, value, date: date || null }));
  const save = () => action.run(async () => done(await apis.exams.stateClinical(exam.id, items)));
  return (
    <form
      className="stack"
      onSubmit={(event) => {
        event.preventDefault();
        void save();
      }}
    >
      <p className="quiet">{words.say("clinical.how")}</p>
      {known.fields.map(({ name, choices }) => (
        <div className="field" key={name}>
          <label htmlFor={`clinical-${name}`}>{named(name)}</label>
          {choices.length > 0 ? (
            <select
              id={`clinical-${name}`}
              value={values[name]}
              onChange={(event) => setValues({ ...values, [name]: event.target.value })}
            >
              <option value="">{words.say("clinical.open")}</option>
              {choices.map((choice) => (
                <option key={choice} value={choice}>
                  {chosen(choice)}
                </option>
              ))}
            </select>
          ) : (
            <input
              id={`clinical-${name}`}
              inputMode="decimal"
              value={values[name]}
              onChange={(event) => setValues({ ...values, [name]: event.target.value })}
            />
          )}
        </div>
      ))}
      <div className="field">
        <label htmlFor="clinical-date">{words.say("clinical.date")}</label>
        <input
          id="clinical-date"
          type="date"
          value={date}
          onChange={(event) => setDate(event.target.value)}
        />
      </div>
      <p className="quiet">{words.say("clinical.later")}</p>
      <ProblemNote problem={action.problem} />
      <div className="actions">
        <button type="submit" className="primary" disabled={action.isBusy}>
          {words.say("clinical.save")}
        </button>
        <button type="button" onClick={() => done(null)}>
          {words.say("clinical.cancel")}
        </button>
      </div>
    </form>
  );
}
