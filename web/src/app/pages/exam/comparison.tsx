/** Readings of other people side by side, for arbitration and after both have answered. */

import type { Reading } from "../../api/types";
import { BREASTS } from "../../logic/answers";
import { isFinding } from "../../logic/marks";
import { useDesk } from "../../parts/app_context";

export interface ComparisonProps {
  readonly readings: readonly Reading[];
  /** Names of fields in which they differ. */
  readonly differences: readonly string[];
  showMark(id: string): void;
}

export function Comparison({ readings, differences, showMark }: ComparisonProps) {
  const { words } = useDesk();
  const open = words.say("reading.open");
  const recall = (given: boolean | null) =>
    given === null ? open : words.say(given ? "reading.recall-yes" : "reading.recall-no");
  return (
    <section className="comparison">
      <h3>{words.say("comparison.title")}</h3>
      {differences.length > 0 && (
        <p className="note note-warning">
          {words.say(differences.includes("recall") ? "comparison.recall" : "comparison.disagree")}
        </p>
      )}
      <div className="comparison-scroll">
        <table>
          <thead>
            <tr>
              <td />
              {readings.map((reading) => (
                <th key={reading.id} scope="col">
                  {reading.person.name}
                  <small>{words.say(`reading.role-${reading.slot ?? reading.role}`)}</small>
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {BREASTS.map((breast) => (
              <tr
                key={breast}
                className={differences.includes(`assessments.${breast}.birads`) ? "differs" : ""}
              >
                <th scope="row">{words.say(`breast.${breast}`)}</th>
                {readings.map((reading) => {
                  const { birads } = reading.assessments[breast];
                  const density = reading.density[breast];
                  return (
                    <td key={reading.id}>
                      {birads === null ? open : words.say("reading.birads-n", { n: birads })}
                      <small>{density && words.say("reading.density-n", { n: density })}</small>
                    </td>
                  );
                })}
              </tr>
            ))}
            <tr className={differences.includes("recall") ? "differs" : ""}>
              <th scope="row">{words.say("reading.recall")}</th>
              {readings.map((reading) => (
                <td key={reading.id}>{recall(reading.recall)}</td>
              ))}
            </tr>
            <tr>
              <th scope="row">{words.say("reading.findings")}</th>
              {readings.map((reading) => (
                <td key={reading.id}>
                  {reading.findings.filter(isFinding).map((mark, i) => (
                    <button
                      key={mark.id ?? i}
                      type="button"
                      className="quiet finding"
                      onClick={() => showMark(`${reading.id}:${mark.id ?? `saved-${i}`}`)}
                    >
                      {words.say("comparison.mark", { n: i + 1 })}
                    </button>
                  ))}
                </td>
              ))}
            </tr>
            <tr>
              <th scope="row">{words.say("reading.comment")}</th>
              {readings.map((reading) => (
                <td key={reading.id} className="comment">
                  {reading.comment}
                </td>
              ))}
            </tr>
          </tbody>
        </table>
      </div>
    </section>
  );
}
