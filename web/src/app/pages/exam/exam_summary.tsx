/** An exam on a narrow screen: what is known about it, before any picture. */

import { dateTimeWords, dateWords, nameWords } from "../../logic/times";
import { useDesk } from "../../parts/app_context";
import { AiCell, PhotographNote, StatusWord } from "../../parts/category";
import type { ExamFacts } from "./use_exam";

export function ExamSummary({ facts }: { facts: ExamFacts }) {
  const { words } = useDesk();
  const { detail, exam } = facts;
  const { patient } = detail;
  const { locale } = words;
  const born = patient.birth_date && dateWords(patient.birth_date, locale);
  const lines: readonly (readonly [string, string | null | undefined])[] = [
    [words.say("patient.id"), patient.id],
    [words.say("patient.born"), born],
    [words.say("column.exam"), detail.accession_number],
    [words.say("column.site"), detail.site?.name ?? words.say("exam.no-site")],
    [words.say("exam.received"), dateTimeWords(detail.received_at, locale)],
  ];
  return (
    <section className="summary">
      <h2>{nameWords(patient.name) ?? patient.id ?? words.say("patient.unknown")}</h2>
      {exam.banner && <p className="note note-warning">{exam.banner}</p>}
      <div className="summary-state">
        <AiCell row={detail} />
        <StatusWord status={detail.status} />
      </div>
      <PhotographNote row={detail} />
      <details>
        <summary>{words.say("exam.facts")}</summary>
        <dl className="facts">
          {lines.map(([name, value]) => (
            <div key={name}>
              <dt>{name}</dt>
              <dd>{value || "–"}</dd>
            </div>
          ))}
        </dl>
      </details>
      {exam.doubts.length > 0 && (
        <ul className="doubts">
          {exam.doubts.map((doubt) => (
            <li key={doubt}>{doubt}</li>
          ))}
        </ul>
      )}
    </section>
  );
}
