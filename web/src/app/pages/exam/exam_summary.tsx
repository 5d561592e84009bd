/** An exam on a narrow screen: previews and facts, no reading of films. */

import type { ExamDetail } from "../../api/types";
import { dateTimeWords, dateWords, nameWords } from "../../logic/times";
import { useDesk } from "../../parts/app_context";
import { AiCell, StatusWord } from "../../parts/category";

export function ExamSummary({ detail }: { detail: ExamDetail }) {
  const { words } = useDesk();
  const { patient } = detail;
  const language = words.language;
  const born = patient.birth_date && dateWords(patient.birth_date, language);
  const facts: readonly (readonly [string, string | null | undefined])[] = [
    [words.say("patient.id"), patient.id],
    [words.say("patient.born"), born],
    [words.say("column.exam"), detail.accession_number],
    [words.say("column.site"), detail.site?.name ?? words.say("exam.no-site")],
    [words.say("exam.received"), dateTimeWords(detail.received_at, language)],
  ];
  const doubts = detail.ai_hidden ? [] : (detail.ai?.doubts ?? []);
  return (
    <section className="summary">
      <h2>{nameWords(patient.name) ?? words.say("patient.unknown")}</h2>
      <div className="summary-state">
        <AiCell row={detail} />
        <StatusWord status={detail.status} />
      </div>
      <dl className="facts">
        {facts.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value || "–"}</dd>
          </div>
        ))}
      </dl>
      {doubts.length > 0 && (
        <ul className="doubts">
          {doubts.map((doubt) => (
            <li key={doubt}>{doubt}</li>
          ))}
        </ul>
      )}
      <div className="previews">
        {detail.images.map((image) => {
          const name = `${image.laterality ?? "?"} ${image.viewPosition ?? "?"}`;
          return (
            <figure key={image.sopInstanceUid}>
              <img
                src={image.preview.url}
                width={image.preview.columns}
                height={image.preview.rows}
                alt={words.say("exam.preview", { view: name })}
                loading="lazy"
              />
              <figcaption>{name}</figcaption>
            </figure>
          );
        })}
      </div>
      <p className="quiet">{words.say("exam.preview-only")}</p>
    </section>
  );
}
