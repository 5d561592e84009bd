/** Fields, buttons and notes of forms. */

import { type ReactNode, useId } from "react";
import type { Problem } from "../api/problem";
import type { AppKey } from "../messages/text";
import { useFrame } from "./app_context";

export interface FieldProps {
  readonly label: string;
  readonly hint?: string;
  /** What is wrong with the value. */
  readonly wrong?: string | null;
  children(ids: { id: string; "aria-describedby"?: string; "aria-invalid"?: true }): ReactNode;
}

export function Field({ label, hint, wrong, children }: FieldProps) {
  const id = useId();
  const note = wrong ?? hint;
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      {children({
        id,
        ...(note && { "aria-describedby": `${id}-note` }),
        ...(wrong && { "aria-invalid": true as const }),
      })}
      {note && (
        <p id={`${id}-note`} className={wrong ? "field-wrong" : "field-hint"}>
          {note}
        </p>
      )}
    </div>
  );
}

export interface TextFieldProps {
  readonly label: string;
  readonly value: string;
  change(value: string): void;
  readonly type?: "text" | "password" | "date" | "search";
  readonly hint?: string;
  readonly wrong?: string | null;
  readonly autoComplete?: string;
  readonly inputMode?: "numeric" | "text";
  readonly isRequired?: boolean;
  readonly autoFocus?: boolean;
  readonly maxLength?: number;
}

export function TextField(props: TextFieldProps) {
  const { label, hint, wrong, value, change, isRequired, ...input } = props;
  // A dialog moves the focus when it opens, after `autoFocus` did.
  const first = input.autoFocus ? { "data-autofocus": true } : {};
  return (
    <Field label={label} {...(hint && { hint })} wrong={wrong ?? null}>
      {(ids) => (
        <input
          {...ids}
          {...input}
          {...first}
          value={value}
          required={isRequired ?? false}
          onChange={(event) => change(event.target.value)}
        />
      )}
    </Field>
  );
}

export interface SelectFieldProps {
  readonly label: string;
  readonly value: string;
  readonly options: readonly (readonly [value: string, text: string])[];
  change(value: string): void;
  readonly hint?: string;
  readonly isDisabled?: boolean;
}

export function SelectField({ label, value, options, change, hint, isDisabled }: SelectFieldProps) {
  return (
    <Field label={label} {...(hint && { hint })}>
      {(ids) => (
        <select
          {...ids}
          value={value}
          disabled={isDisabled ?? false}
          onChange={(event) => change(event.target.value)}
        >
          {options.map(([one, text]) => (
            <option key={one} value={one}>
              {text}
            </option>
          ))}
        </select>
      )}
    </Field>
  );
}

export interface ChoiceProps<T extends string> {
  readonly label: string;
  readonly value: T | null;
  readonly options: readonly (readonly [value: T, text: string, title?: string])[];
  /** A second press takes the answer back. */
  change(value: T | null): void;
  readonly isDisabled?: boolean;
  readonly isMissing?: boolean;
}

/** A few answers side by side, of which one or none holds. */
export function Choice<T extends string>(props: ChoiceProps<T>) {
  const { label, value, options, change, isDisabled, isMissing } = props;
  const name = useId();
  return (
    <fieldset className="choice" data-missing={isMissing || undefined} disabled={isDisabled}>
      <legend>{label}</legend>
      <div className="choice-options">
        {options.map(([one, text, title]) => (
          <label key={one} title={title}>
            <input
              type="radio"
              name={name}
              value={one}
              checked={value === one}
              onChange={() => change(one)}
              onClick={() => value === one && change(null)}
              onKeyDown={(event) => {
                if (event.key === "Delete" || event.key === "Backspace") change(null);
              }}
            />
            <span>{text}</span>
          </label>
        ))}
      </div>
    </fieldset>
  );
}

export function ProblemNote({ problem }: { problem: Problem | null }) {
  const { words } = useFrame();
  if (problem === null) return null;
  const key = `problem.${problem.code}`;
  const said = words.has(key)
    ? words.say(key as AppKey)
    : words.say("problem.other", { detail: problem.message });
  const after = problem.retryAfterSeconds;
  return (
    <div className="note note-bad" role="alert">
      <p>{said}</p>
      {after !== null && <p>{words.say("problem.again-after", { seconds: after })}</p>}
      {problem.fields.map(({ field, detail }) => (
        <p key={field}>
          {field}: {detail}
        </p>
      ))}
    </div>
  );
}

export function Busy({ text }: { text: string }) {
  return (
    <p className="busy" role="status">
      {text}
    </p>
  );
}
