/**
 * The guided page of a community health worker: consent, patient, four views, send. One step at a
 * time, with the button that goes on at the bottom. It never shows what the AI says.
 */

import { useState } from "react";
import type { Site } from "../../api/types";
import type { Consent } from "../../logic/consent";
import { type Patient, SLOTS, type Slot } from "../../logic/field";
import { hasRole } from "../../logic/rights";
import { hashTo } from "../../logic/route";
import { useDesk } from "../../parts/app_context";
import { SelectField } from "../../parts/form";
import { useTitle } from "../../parts/hooks";
import { useDevice } from "../../parts/use_device";
import { ConsentStep } from "./consent_step";
import { RefusedImages } from "./refused_images";
import { SentStep } from "./sent_step";
import { useResults } from "./use_results";
import { ViewsStep } from "./views_step";

interface Examined {
  readonly patient: Patient;
  readonly consent: Consent;
}

type Step =
  | { readonly kind: "consent" }
  | ({ readonly kind: "views"; readonly wanted: readonly Slot[] } & Examined)
  | ({ readonly kind: "sent"; readonly ids: readonly string[] } & Examined);

export default function FieldPage() {
  const { words, sites, person } = useDesk();
  useTitle(words.say("page.field"));
  const device = useDevice();
  const possible = sites.filter((site) => hasRole(person, "health_worker", site.id));
  const [chosen, setChosen] = useState("");
  const [step, setStep] = useState<Step>({ kind: "consent" });
  const arrived = useResults();
  const site: Site | undefined =
    possible.length === 1 ? possible[0] : possible.find((one) => String(one.id) === chosen);
  return (
    <section className="page field-work">
      <header className="page-head">
        <h1>{words.say("page.field")}</h1>
      </header>
      {possible.length > 1 && step.kind === "consent" && (
        <SelectField
          label={words.say("upload.site")}
          value={chosen}
          change={setChosen}
          options={[
            ["", words.say("app.choose")],
            ...possible.map((one) => [String(one.id), one.name] as const),
          ]}
        />
      )}
      {device.state !== "open" && (
        <div className="note note-warning">
          <p>{words.say("field.device-first")}</p>
          <a className="button" href={hashTo("device")}>
            {words.say("page.device")}
          </a>
        </div>
      )}
      {site !== undefined && device.state === "open" && step.kind === "consent" && (
        <>
          <RefusedImages />
          <ConsentStep
            key={site.id}
            site={site}
            done={(patient, consent) => setStep({ kind: "views", patient, consent, wanted: SLOTS })}
          />
        </>
      )}
      {site !== undefined && device.vault !== null && step.kind === "views" && (
        <ViewsStep
          site={site}
          vault={device.vault}
          patient={step.patient}
          consent={step.consent}
          wanted={step.wanted}
          sent={(ids) => setStep({ ...step, kind: "sent", ids })}
          cancel={() => setStep({ kind: "consent" })}
        />
      )}
      {step.kind === "sent" && (
        <SentStep
          ids={step.ids}
          arrived={arrived}
          again={(wanted) => setStep({ ...step, kind: "views", wanted })}
          next={() => setStep({ kind: "consent" })}
        />
      )}
    </section>
  );
}
