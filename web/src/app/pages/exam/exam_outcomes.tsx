/** What became of the patient of an exam: hidden until the reader's own answer is locked. */

import { useEffect } from "react";
import { regionMarks, standing } from "../../logic/outcomes";
import { hasRole } from "../../logic/rights";
import { hashTo } from "../../logic/route";
import { dateWords } from "../../logic/times";
import { useDesk } from "../../parts/app_context";
import { useLoad } from "../../parts/hooks";
import { OutcomeWord, outcomeWords, sideWords } from "../outcomes/words";
import type { PanelProps } from "./panel_props";

const NONE = { hidden: false, items: [] } as const;

export function ExamOutcomes({ facts, draft, showBiopsies }: PanelProps) {
  const { words, apis, person } = useDesk();
  const { detail } = facts;
  const site = detail.site?.id ?? null;
  const may =
    person.is_administrator ||
    (site !== null &&
      (["reader", "arbiter", "administrator"] as const).some((role) =>
        hasRole(person, role, site),
      ));
  const state = draft.snapshot.reading?.state ?? "none";
  const load = async () => (may ? apis.outcomes.ofExam(detail.id) : NONE);
  const { data } = useLoad(load, `outcomes ${detail.id} ${may} ${state} ${detail.status}`);
  useEffect(() => {
    showBiopsies(regionMarks(data?.items ?? [], (outcome) => outcomeWords(words, outcome)));
    return () => showBiopsies([]);
  }, [data, showBiopsies, words]);
  if (data === null || data.items.length === 0) return null;
  return (
    <section aria-label={words.say("page.outcomes")}>
      <h3>{words.say("page.outcomes")}</h3>
      <ul>
        {data.items.map(({ row: one }) => (
          <li key={one.id}>
            <OutcomeWord values={standing(one)} />{" "}
            {sideWords(words, standing(one).laterality ?? null)}{" "}
            {one.taken && dateWords(one.taken, words.locale)}{" "}
            <a href={hashTo("outcomes", one.id)}>{words.say(`outcome.state-${one.state}`)}</a>
          </li>
        ))}
      </ul>
      {data.items.some(({ places }) => places.length > 0) && (
        <p className="quiet">{words.say("outcome.region-how")}</p>
      )}
    </section>
  );
}
