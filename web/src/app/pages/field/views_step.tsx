/** The second step: four views, each checked at once on this device, then sent by its queue. */

import { useEffect, useRef, useState } from "react";
import { AnalysisFailed, type DeviceAnalyst, startAnalyst } from "../../../analysis/client";
import type { Site } from "../../api/types";
import { orFull } from "../../device/full";
import { forSending } from "../../device/keep_files";
import { readablePicture } from "../../device/pictures";
import { fileItem, keepFile } from "../../device/send_upload";
import type { OpenVault } from "../../device/vault";
import type { Consent } from "../../logic/consent";
import {
  faultsOf,
  isBlocked,
  missingSlots,
  type Patient,
  type Shot,
  type Shots,
  type Slot,
} from "../../logic/field";
import { dayOf, isFilmDay, photographFacts } from "../../logic/photographs";
import { loadAnalyst } from "../../parts/analyst";
import { useDesk } from "../../parts/app_context";
import { ProblemNote, TextField } from "../../parts/form";
import { useAction } from "../../parts/hooks";
import { useQueue } from "../../parts/use_device";
import { ViewCard } from "./view_card";

export interface ViewsStepProps {
  readonly site: Site;
  readonly vault: OpenVault;
  readonly patient: Patient;
  readonly consent: Consent;
  /** The views to be made: all, or those that were refused before. */
  readonly wanted: readonly Slot[];
  /** @param ids the items of the queue */
  sent(ids: readonly string[]): void;
  cancel(): void;
}

export function ViewsStep(props: ViewsStepProps) {
  const { site, vault, patient, consent, wanted, sent, cancel } = props;
  const { words, apis } = useDesk();
  const { outbox } = useQueue();
  const action = useAction();
  const analyst = useChecker();
  const [shots, setShots] = useState<Shots>({});
  const [checking, setChecking] = useState<Slot | null>(null);
  const [filmDate, setFilmDate] = useState(() => dayOf(new Date()));
  const [doubts, setDoubts] = useState<readonly string[] | null>(null);
  const missing = missingSlots(shots, patient).filter((slot) => wanted.includes(slot));
  const usable = wanted.filter((slot) => !missing.includes(slot));
  const isGoodDay = isFilmDay(filmDate, new Date());
  const isBusy = checking !== null || action.isBusy;

  const take = (slot: Slot, file: File) =>
    action.run(async () => {
      setChecking(slot);
      setDoubts(null);
      try {
        const check = await analyst().check({ name: file.name, file });
        const isPhotograph = !check.isDicom && check.refusal === null;
        const picture = isPhotograph ? await readablePicture(file) : file;
        setShots((now) => ({ ...now, [slot]: { file: picture ?? file, check } }));
      } finally {
        setChecking(null);
      }
    });
  const chosen = usable.map((slot) => [slot, shots[slot] as Shot] as const);

  /** What the whole exam is doubted for; neither category nor score leaves this function. */
  const doubtsOfExam = async (): Promise<readonly string[]> => {
    if (!chosen.every(([, { check }]) => check.isDicom)) return [];
    try {
      const loaded = await loadAnalyst(apis.model);
      try {
        const files = chosen.map(([slot, { file }]) => ({ name: `${slot}/${file.name}`, file }));
        const { exams, unplaced } = await loaded.analyst.analyze(files);
        const refused = [...unplaced, ...exams.flatMap((exam) => exam.unreadable)];
        const doubted = exams.flatMap((exam) => exam.cautions.filter(({ doubt }) => doubt));
        return [...new Set([...refused, ...doubted].map(({ message }) => message))];
      } finally {
        loaded.analyst.close();
      }
    } catch (error) {
      // Without a line and a kept model, or on a device that cannot run it, the server does it.
      if (error instanceof AnalysisFailed) return [error.message];
      return [];
    }
  };
  const send = () =>
    action.run(async () => {
      if (doubts === null) {
        const found = await doubtsOfExam();
        setDoubts(found);
        // The person looks at them, and presses again.
        if (found.length > 0) return;
      }
      const ids: string[] = [];
      for (const [slot, { file, check }] of chosen) {
        const facts: Record<string, string> = { consent: JSON.stringify(consent) };
        if (!check.isDicom)
          Object.assign(facts, photographFacts(slot, patient.patientId, filmDate));
        const name = `${slot} ${file.name}`;
        const item = fileItem(file, name, site.id, facts);
        await orFull(async () => {
          await outbox.add(item);
          await keepFile(vault, item, await forSending(file), outbox.add);
        });
        ids.push(item.id);
      }
      void outbox.send();
      sent(ids);
    });
  return (
    <div className="stack">
      <p className="step">{words.say("field.step", { n: 2, of: 3 })}</p>
      <p className="quiet">
        {words.say("field.for", { id: patient.patientId, year: patient.birthYear })}
      </p>
      <p>{words.say("field.views-how")}</p>
      <ul className="view-cards">
        {wanted.map((slot) => (
          <ViewCard
            key={slot}
            slot={slot}
            shot={shots[slot] ?? null}
            faults={faultsFor(shots, slot, patient)}
            isBlocked={shots[slot] !== undefined && isBlocked(shots[slot], slot, patient, shots)}
            isChecking={checking === slot}
            isDisabled={isBusy}
            take={(file) => void take(slot, file)}
          />
        ))}
      </ul>
      {chosen.some(([, { check }]) => !check.isDicom) && (
        <TextField
          label={words.say("field.film-date")}
          type="date"
          value={filmDate}
          change={setFilmDate}
          wrong={isGoodDay ? null : words.say("problem.exam_date")}
          isRequired
        />
      )}
      {missing.length > 0 && usable.length > 0 && (
        <p className="note note-warning">
          {words.say("field.missing", { views: missing.map(viewName).join(", ") })}
        </p>
      )}
      {doubts !== null && doubts.length > 0 && (
        <div className="note note-warning" role="alert">
          <p>{words.say("field.doubts")}</p>
          <ul className="doubts">
            {doubts.map((text) => (
              <li key={text}>{words.reason(text)}</li>
            ))}
          </ul>
        </div>
      )}
      <ProblemNote problem={action.problem} />
      <div className="actions thumb">
        <button
          type="button"
          className="primary"
          disabled={isBusy || usable.length === 0 || !isGoodDay}
          onClick={() => void send()}
        >
          {words.say(action.isBusy && checking === null ? "field.sending" : "field.send", {
            n: usable.length,
          })}
        </button>
      </div>
      <div className="actions">
        <button type="button" disabled={isBusy} onClick={cancel}>
          {words.say("field.other-patient")}
        </button>
      </div>
    </div>
  );
}

function faultsFor(shots: Shots, slot: Slot, patient: Patient) {
  const shot = shots[slot];
  return shot === undefined ? [] : faultsOf(shot.check, slot, patient, shots);
}

function viewName(slot: Slot): string {
  return `${slot[0]} ${slot.slice(1)}`;
}

/** The worker that looks at single pictures; it is started with the first one. */
function useChecker(): () => DeviceAnalyst {
  const worker = useRef<DeviceAnalyst | null>(null);
  useEffect(
    () => () => {
      worker.current?.close();
      worker.current = null;
    },
    [],
  );
  return () => {
    worker.current ??= startAnalyst();
    return worker.current;
  };
}
