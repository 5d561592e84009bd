/** One view to be made: its drawing, the picture's state, and what is wrong in words. */

import { useEffect, useRef, useState } from "react";
import type { Fault, Shot, Slot } from "../../logic/field";
import { useDesk } from "../../parts/app_context";
import { ViewDrawing } from "./drawing";

export interface ViewCardProps {
  readonly slot: Slot;
  readonly shot: Shot | null;
  readonly faults: readonly Fault[];
  readonly isBlocked: boolean;
  readonly isChecking: boolean;
  readonly isDisabled: boolean;
  take(file: File): void;
}

export function ViewCard(props: ViewCardProps) {
  const { slot, shot, faults, isBlocked, isChecking, isDisabled, take } = props;
  const { words } = useDesk();
  const files = useRef<HTMLInputElement>(null);
  const camera = useRef<HTMLInputElement>(null);
  const name = words.say(`view.${slot}`);
  const state = shot === null ? "open" : isBlocked ? "bad" : "good";
  const taken = (input: HTMLInputElement) => {
    const [file] = input.files ?? [];
    if (file !== undefined) take(file);
    input.value = "";
  };
  return (
    <li className={`view-card view-card-${state}`}>
      <h3>{name}</h3>
      <div className="view-row">
        <figure className="view-side" data-side={slot[0]}>
          <ViewDrawing slot={slot} />
          <Taken shot={shot} />
        </figure>
        <div className="stack">
          <p role="status">
            {isChecking
              ? words.say("field.checking")
              : words.say(`field.view-${state}`, { name: shot?.file.name ?? "" })}
          </p>
          {faults.map((fault) => (
            <p key={fault.code} className={fault.isBlocking ? "field-wrong" : "field-hint"}>
              {words.say(`fault.${fault.code}`, { view: name, found: fault.found })}
              {fault.detail && <small> {words.reason(fault.detail)}</small>}
            </p>
          ))}
          <div className="actions">
            <button type="button" disabled={isDisabled} onClick={() => files.current?.click()}>
              {words.say("field.choose")}
            </button>
            <button type="button" disabled={isDisabled} onClick={() => camera.current?.click()}>
              {words.say("field.camera")}
            </button>
          </div>
        </div>
      </div>
      <input
        ref={files}
        className="hidden"
        type="file"
        tabIndex={-1}
        aria-label={words.say("field.choose-view", { view: name })}
        onChange={(event) => taken(event.target)}
      />
      <input
        ref={camera}
        className="hidden"
        type="file"
        accept="image/jpeg,image/png"
        capture="environment"
        tabIndex={-1}
        aria-label={words.say("field.camera-view", { view: name })}
        onChange={(event) => taken(event.target)}
      />
    </li>
  );
}

/** A photograph as it was taken, beside the drawing of its view: is it the right film, upright? */
function Taken({ shot }: { shot: Shot | null }) {
  const { words } = useDesk();
  const [url, setUrl] = useState<string | null>(null);
  const file =
    shot !== null && !shot.check.isDicom && shot.check.refusal === null ? shot.file : null;
  useEffect(() => {
    if (file === null) return;
    const made = URL.createObjectURL(file);
    setUrl(made);
    return () => {
      URL.revokeObjectURL(made);
      setUrl(null);
    };
  }, [file]);
  return url === null ? null : <img src={url} alt={words.say("field.taken")} />;
}
