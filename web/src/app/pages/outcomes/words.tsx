/** Outcomes, sides and reasons in the reader's language. */

import type { OutcomeValues, Side } from "../../api/outcomes";
import type { AppKey, AppWords } from "../../messages/text";
import { useFrame } from "../../parts/app_context";

export function outcomeWords(words: AppWords, outcome: string | null | undefined): string {
  const key = `outcome.is-${outcome ?? "unsure"}`;
  return words.has(key) ? words.say(key as AppKey) : String(outcome);
}

export function OutcomeWord({ values }: { values: OutcomeValues }) {
  const { words } = useFrame();
  return <strong>{outcomeWords(words, values.outcome)}</strong>;
}

export function sideWords(words: AppWords, side: Side | null): string {
  if (side === null) return words.say("outcome.side-unknown");
  return words.say(side === "L" ? "outcome.side-L" : "outcome.side-R");
}

/** The words of the grammar are English; they stand behind ours. */
export function reasonWords(words: AppWords, code: string, detail: string): string {
  const key = `outcome.reason-${code}`;
  const said = words.has(key) ? words.say(key as AppKey) : code;
  return detail === "" ? said : `${said} (${detail})`;
}
