/** What became of each image: received, or refused with the reason and what to do. */

import type { UploadResult } from "../../api/uploads";
import { SLOTS, type Slot } from "../../logic/field";
import { faultsIn } from "../../logic/photographs";
import { isUnused } from "../../logic/upload_list";
import type { AppKey, AppWords } from "../../messages/text";
import { useDesk } from "../../parts/app_context";
import type { Arrived } from "./use_results";

export function Outcomes({ of }: { of: readonly Arrived[] }) {
  const { words } = useDesk();
  return (
    <ul className="queue" aria-label={words.say("field.outcomes")}>
      {of.map((one) => {
        const isRefused = one.result !== null && isUseless(one.result);
        return (
          <li key={one.id} className={`queue-item queue-${isRefused ? "refused" : "sent"}`}>
            <strong>{viewOf(one.name, words)}</strong>
            <span>
              {one.result === null
                ? words.say("field.being-checked")
                : words.say(isRefused ? "field.refused" : "field.received")}
            </span>
            {isRefused && <Reasons of={one.result as UploadResult} />}
          </li>
        );
      })}
    </ul>
  );
}

/** Nothing of what was sent under this name can be used. */
export function isUseless({ members }: UploadResult): boolean {
  return members.length === 0 || members.every(isUnused);
}

/** The view for which an image was sent; null: it was not sent here. */
export function slotOf(name: string): Slot | null {
  return SLOTS.find((slot) => name.startsWith(`${slot} `)) ?? null;
}

export function Reasons({ of: { members, problem } }: { of: UploadResult }) {
  const { words } = useDesk();
  const said = members.flatMap(({ reason }) => {
    const faults = faultsIn(reason);
    if (faults.length > 0) return faults.map((fault) => words.say(`fault.${fault}` as AppKey));
    return reason === null ? [] : [words.reason(reason)];
  });
  const other = problem === null ? [] : [words.reason(problem)];
  return (
    <ul className="faults">
      {[...new Set([...said, ...other])].map((text) => (
        <li key={text}>{text}</li>
      ))}
    </ul>
  );
}

export function viewOf(name: string, words: AppWords): string {
  const slot = slotOf(name);
  return slot === null ? name : words.say(`view.${slot}`);
}
