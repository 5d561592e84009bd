/** The first step: what the patient agrees to, who it is, and the agreement itself. */

import { useState } from "react";
import type { Site } from "../../api/types";
import { birthYearOf, type Consent, consentText, makeConsent } from "../../logic/consent";
import type { Patient } from "../../logic/field";
import { useDesk } from "../../parts/app_context";
import { ProblemNote, TextField } from "../../parts/form";
import { useAction } from "../../parts/hooks";

export interface ConsentStepProps {
  readonly site: Site;
  done(patient: Patient, consent: Consent): void;
}

export function ConsentStep({ site, done }: ConsentStepProps) {
  const { words } = useDesk();
  const action = useAction();
  const [name, setName] = useState("");
  const [patientId, setPatientId] = useState("");
  const [year, setYear] = useState("");
  const [agrees, setAgrees] = useState(false);
  const text = consentText(words, site);
  const birthYear = birthYearOf(year, new Date());
  const isWrongYear = year.length >= 4 && birthYear === null;
  const isWhole = name.trim() !== "" && patientId.trim() !== "" && birthYear !== null && agrees;
  const go = () =>
    action.run(async () => {
      if (birthYear === null) return;
      const patient = { name: name.trim(), patientId: patientId.trim(), birthYear };
      done(patient, await makeConsent(text, words.language, patient, new Date()));
    });
  return (
    <form
      className="stack"
      onSubmit={(event) => {
        event.preventDefault();
        if (isWhole) void go();
      }}
    >
      <p className="step">{words.say("field.step", { n: 1, of: 3 })}</p>
      <h2>{words.say("field.patient")}</h2>
      <TextField
        label={words.say("field.patient-id")}
        value={patientId}
        change={setPatientId}
        autoComplete="off"
        maxLength={64}
        isRequired
      />
      <TextField
        label={words.say("field.birth-year")}
        value={year}
        change={setYear}
        inputMode="numeric"
        autoComplete="off"
        maxLength={4}
        wrong={isWrongYear ? words.say("field.birth-year-wrong") : null}
        isRequired
      />
      <h2>{words.say("field.consent")}</h2>
      <p className="consent-text">{text}</p>
      <TextField
        label={words.say("field.consent-name")}
        hint={words.say("field.consent-name-how")}
        value={name}
        change={setName}
        autoComplete="off"
        maxLength={128}
        isRequired
      />
      <label className="check">
        <input
          type="checkbox"
          checked={agrees}
          onChange={(event) => setAgrees(event.target.checked)}
        />
        {words.say("field.agrees")}
      </label>
      <ProblemNote problem={action.problem} />
      <div className="actions thumb">
        <button type="submit" className="primary" disabled={!isWhole || action.isBusy}>
          {words.say("field.to-views")}
        </button>
      </div>
    </form>
  );
}
