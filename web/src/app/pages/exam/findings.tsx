/** The marks of a reading as a list; each leads to its place in the pictures. */

import type { ExamImage } from "../../../viewer/exam";
import type { BiRads, ReadingMark } from "../../api/types";
import { BIRADS } from "../../logic/answers";
import { isFinding } from "../../logic/marks";
import type { AppKey } from "../../messages/text";
import { useDesk } from "../../parts/app_context";
import { useIsNarrow } from "../../parts/use_narrow";

export interface FindingsProps {
  readonly findings: readonly ReadingMark[];
  readonly images: readonly ExamImage[];
  showMark?(id: string): void;
  /** Left out: the findings are only shown. */
  rate?(id: string, birads: BiRads | null): void;
}

export function Findings({ findings, images, showMark, rate }: FindingsProps) {
  const { words } = useDesk();
  const how = useIsNarrow() ? "finding.no-room" : "reading.findings-how";
  const view = (uid: string) => {
    const image = images.find((one) => one.sopInstanceUid === uid);
    return `${image?.laterality ?? "?"} ${image?.viewPosition ?? "?"}`;
  };
  return (
    <section className="findings" aria-label={words.say("reading.findings")}>
      <h3>{words.say("reading.findings")}</h3>
      {!findings.some(isFinding) && (
        <p className="quiet">{words.say(rate ? how : "reading.no-findings")}</p>
      )}
      <ol>
        {findings.map((mark, i) => {
          if (!isFinding(mark)) return null;
          const id = mark.id ?? `saved-${i}`;
          const text = [typeWords(mark), mark.text].filter(Boolean).join(": ");
          const name = `${view(mark.image)} · ${text || words.say(`mark.${mark.shape}`)}`;
          return (
            <li key={id} className="finding-line">
              {showMark ? (
                <button type="button" className="quiet finding" onClick={() => showMark(id)}>
                  {name}
                </button>
              ) : (
                <span className="finding">{name}</span>
              )}
              {rate ? (
                <label className="finding-birads">
                  <span className="hidden">
                    {words.say("reading.finding-birads", { n: i + 1 })}
                  </span>
                  <select
                    value={mark.birads ?? ""}
                    onChange={(event) => rate(id, (event.target.value || null) as BiRads | null)}
                  >
                    <option value="">{words.say("reading.birads-open")}</option>
                    {BIRADS.map((one) => (
                      <option key={one} value={one}>
                        {words.say("reading.birads-n", { n: one })}
                      </option>
                    ))}
                  </select>
                </label>
              ) : (
                mark.birads && <span>{words.say("reading.birads-n", { n: mark.birads })}</span>
              )}
            </li>
          );
        })}
      </ol>
    </section>
  );

  function typeWords(mark: ReadingMark): string {
    const key = `finding.${mark.descriptors?.type}`;
    return words.has(key) ? words.say(key as AppKey) : "";
  }
}
