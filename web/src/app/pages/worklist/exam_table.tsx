/** Rows of exams; on a narrow screen each row becomes a card. */

import type { ExamRow } from "../../api/types";
import { gathered } from "../../logic/exam_words";
import { worksOn } from "../../logic/rights";
import { hashTo } from "../../logic/route";
import { dateTimeWords, dateWords, nameWords, waitingSince, waitingWords } from "../../logic/times";
import type { AppKey } from "../../messages/text";
import { useDesk } from "../../parts/app_context";
import { AiCell, StatusWord } from "../../parts/category";
import { useNow } from "../../parts/hooks";

export interface ExamTableProps {
  readonly rows: readonly ExamRow[];
  readonly selected: number;
  readonly isMarked: boolean;
  select(at: number): void;
}

const MINUTE_MS = 60_000;

export function ExamTable({ rows, selected, select, isMarked }: ExamTableProps) {
  const { words } = useDesk();
  const now = useNow(MINUTE_MS);
  if (rows.length === 0) return null;
  return (
    <table className="exams">
      <thead>
        <tr>
          <th scope="col">{words.say("column.ai")}</th>
          <th scope="col">{words.say("column.patient")}</th>
          <th scope="col">{words.say("column.age-sex")}</th>
          <th scope="col">{words.say("column.exam")}</th>
          <th scope="col">{words.say("column.site")}</th>
          <th scope="col">{words.say("column.waiting")}</th>
          <th scope="col">{words.say("column.doubts")}</th>
          <th scope="col">{words.say("column.status")}</th>
        </tr>
      </thead>
      <tbody>
        {rows.map((row, at) => (
          <Row
            key={row.id}
            row={row}
            now={now}
            isSelected={isMarked && at === selected}
            select={() => select(at)}
          />
        ))}
      </tbody>
    </table>
  );
}

interface RowProps {
  readonly row: ExamRow;
  readonly now: number;
  readonly isSelected: boolean;
  select(): void;
}

function Row({ row, now, isSelected, select }: RowProps) {
  const { words, person } = useDesk();
  const { patient } = row;
  const decides = row.status === "arbitration" && worksOn(person, row.site?.id ?? null, "arbiter");
  const href = hashTo(decides ? "arbitration" : "exams", row.id);
  const waiting = waitingSince(row.received_at, now);
  const age = patient.age_years !== null && words.say("patient.age", { years: patient.age_years });
  const sexOf = ({ patient: { sex } }: ExamRow) => {
    const key = `sex.${sex}`;
    return words.has(key) ? words.say(key as AppKey) : sex;
  };
  const open = (event: { target: EventTarget; currentTarget: EventTarget }) => {
    if ((event.target as HTMLElement).closest("a") === null) location.hash = href;
  };
  return (
    // The link in the row is what keyboards and screen readers use.
    <tr className={isSelected ? "selected" : ""} onClick={open} onFocus={select}>
      <td className="cell-ai">
        <AiCell row={row} />
      </td>
      <td className="cell-patient">
        <a href={href} data-exam-link>
          {nameWords(patient.name) ?? patient.id ?? words.say("patient.unknown")}
        </a>
        {patient.name && <small>{patient.id}</small>}
      </td>
      <td className="cell-age">{[age, sexOf(row)].filter(Boolean).join(" · ")}</td>
      <td className="cell-exam">
        <span>{row.accession_number ?? words.say("exam.no-accession")}</span>
        <small>
          {row.study_date && `${dateWords(row.study_date, words.locale)} · `}
          {row.complete
            ? words.say("exam.views", { views: row.views.join(" ") })
            : words.say("exam.incomplete", { views: row.views.join(" ") })}
        </small>
        {row.banner && <small className="exam-banner">{row.banner}</small>}
        {row.refused > 0 && (
          <small className="exam-banner">{words.say("exam.refused", { n: row.refused })}</small>
        )}
        {row.has_priors && <small className="badge">{words.say("exam.has-priors")}</small>}
        {(row.revision ?? 0) > 1 && (
          <small className="badge">{words.say("exam.revision", { n: row.revision ?? 0 })}</small>
        )}
      </td>
      <td className="cell-site">{row.site?.name ?? <em>{words.say("exam.no-site")}</em>}</td>
      <td className="cell-waiting">
        <time dateTime={row.received_at} title={dateTimeWords(row.received_at, words.locale)}>
          {row.status !== "signed" && waiting && waitingWords(waiting, words.locale)}
        </time>
        <small>{dateTimeWords(row.received_at, words.locale)}</small>
      </td>
      <td className="cell-doubts">
        <Doubts row={row} />
      </td>
      <td className="cell-status">
        <StatusWord status={row.status} />
        {row.reader && <small>{row.reader.name}</small>}
      </td>
    </tr>
  );
}

function Doubts({ row }: { row: ExamRow }) {
  const { words } = useDesk();
  if (!row.complete && row.ai === null) return <>{words.say("doubt.incomplete")}</>;
  if (row.ai === null) return null;
  const { doubts } = row.ai;
  if (doubts.length === 0) return null;
  return (
    <ul>
      {gathered(doubts).map((doubt) => (
        <li key={doubt}>{words.reason(doubt)}</li>
      ))}
    </ul>
  );
}
