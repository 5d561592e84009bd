/** Photographs of films on a light box: a door of its own, one picture a view. */

import { useRef, useState } from "react";
import { readablePicture } from "../../device/pictures";
import { FILM_VIEWS, type FilmView, isFilmDay, photographFacts } from "../../logic/photographs";
import { useDesk } from "../../parts/app_context";
import { TextField } from "../../parts/form";

export interface PhotographFormProps {
  readonly isReady: boolean;
  send(file: File, facts: Readonly<Record<string, string>>): void;
}

export function PhotographForm({ isReady, send }: PhotographFormProps) {
  const { words } = useDesk();
  const [patient, setPatient] = useState("");
  const [day, setDay] = useState("");
  const [sent, setSent] = useState<readonly FilmView[]>([]);
  const [unread, setUnread] = useState<string | null>(null);
  const canTake = isReady && patient.trim() !== "" && isFilmDay(day, new Date());
  const take = async (view: FilmView, file: File) => {
    const picture = await readablePicture(file);
    setUnread(picture === null ? file.name : null);
    if (picture === null) return;
    send(picture, photographFacts(view, patient, day));
    setSent((before) => [...before.filter((one) => one !== view), view]);
  };
  return (
    <details className="photographs">
      <summary>{words.say("photograph.title")}</summary>
      <p className="quiet how">{words.say("photograph.how")}</p>
      <TextField
        label={words.say("patient.id")}
        value={patient}
        change={setPatient}
        maxLength={64}
        autoComplete="off"
      />
      <TextField
        label={words.say("photograph.day")}
        value={day}
        change={setDay}
        type="date"
        wrong={day !== "" && !isFilmDay(day, new Date()) ? words.say("problem.exam_date") : null}
      />
      {!canTake && <p className="quiet">{words.say("photograph.first")}</p>}
      <ul className="photograph-views">
        {FILM_VIEWS.map((view) => (
          <li key={view}>
            <Take view={view} isDisabled={!canTake} take={(file) => void take(view, file)} />
            {sent.includes(view) && <span>{words.say("photograph.taken")}</span>}
          </li>
        ))}
      </ul>
      {unread !== null && (
        <p role="alert" className="field-wrong">
          {words.say("photograph.heic", { name: unread })}
        </p>
      )}
    </details>
  );
}

interface TakeProps {
  readonly view: FilmView;
  readonly isDisabled: boolean;
  take(file: File): void;
}

function Take({ view, isDisabled, take }: TakeProps) {
  const { words } = useDesk();
  const input = useRef<HTMLInputElement>(null);
  const label = words.say("photograph.take", { view: words.say(`photograph.view.${view}`) });
  return (
    <>
      <button type="button" disabled={isDisabled} onClick={() => input.current?.click()}>
        {label}
      </button>
      <input
        ref={input}
        className="hidden"
        type="file"
        accept="image/*"
        capture="environment"
        tabIndex={-1}
        aria-label={label}
        onChange={(event) => {
          const [file] = event.target.files ?? [];
          event.target.value = "";
          if (file !== undefined) take(file);
        }}
      />
    </>
  );
}
