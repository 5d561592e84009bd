/** What the patient agreed to in the field, for whoever reads the exam. */

import { dateTimeWords } from "../../logic/times";
import { useDesk } from "../../parts/app_context";
import { useLoad } from "../../parts/hooks";

export function Consents({ exam }: { exam: number }) {
  const { words, apis } = useDesk();
  const { data } = useLoad(() => apis.shares.consents(exam), `consents ${exam}`);
  return (data ?? []).map((one) => (
    <p key={`${one.given_at} ${one.text_version}`} className="quiet">
      {words.say("consent.given", {
        name: one.name,
        version: one.text_version,
        time: dateTimeWords(one.given_at, words.locale),
        by: one.asked_by,
      })}
    </p>
  ));
}
