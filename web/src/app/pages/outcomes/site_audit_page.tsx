/** The BI-RADS audit of a site over its own readings and outcomes. */

import { useState } from "react";
import type { AuditFigure, AuditQuestion, SiteAudit } from "../../api/outcomes";
import { lookBackTo } from "../../logic/route";
import type { AppKey, AppWords } from "../../messages/text";
import { useDesk } from "../../parts/app_context";
import { Busy, ProblemNote, SelectField, TextField } from "../../parts/form";
import { useLoad, useTitle } from "../../parts/hooks";
import { Table } from "../../parts/list_page";
import { FairnessTables } from "./fairness_tables";
import { outcomeWords } from "./words";

const FIGURES = [
  "recall_rate",
  "detection_rate",
  "sensitivity",
  "specificity",
  "false_negative_rate",
  "ppv1",
  "ppv2",
  "ppv3",
  "minimal_cancers",
  "node_negative",
] as const;
const START: AuditQuestion = {
  edition: "5th",
  readers: "standing",
  ai_positive: "high",
  from: "",
  to: "",
  complete_until: "",
};

export default function SiteAuditPage() {
  const { words, sites, person } = useDesk();
  useTitle(words.say("page.site-audit"));
  const mine = sites.filter(
    (site) =>
      person.is_administrator ||
      person.roles.some((one) => one.site === site.id && one.role === "administrator"),
  );
  const [site, setSite] = useState(String(mine[0]?.id ?? ""));
  const [typed, setTyped] = useState(START);
  const [asked, setAsked] = useState(START);
  const change = (name: keyof AuditQuestion) => (value: string) =>
    setTyped({ ...typed, [name]: value });
  const day = (name: "from" | "to" | "complete_until") => (
    <TextField
      label={words.say(`site-audit.${name}`)}
      type="date"
      value={typed[name]}
      change={change(name)}
    />
  );
  return (
    <section className="page">
      <header className="page-head">
        <h1>{words.say("page.site-audit")}</h1>
      </header>
      <p className="quiet how">{words.say("site-audit.how")}</p>
      <form
        className="filters"
        onSubmit={(event) => {
          event.preventDefault();
          setAsked(typed);
        }}
      >
        <SelectField
          label={words.say("column.site")}
          value={site}
          change={setSite}
          options={mine.map((one) => [String(one.id), one.name] as const)}
        />
        {day("from")}
        {day("to")}
        {day("complete_until")}
        <SelectField
          label={words.say("site-audit.edition")}
          value={typed.edition}
          change={change("edition")}
          options={[
            ["5th", words.say("site-audit.edition-5th")],
            ["4th", words.say("site-audit.edition-4th")],
          ]}
        />
        <SelectField
          label={words.say("site-audit.readers")}
          value={typed.readers}
          change={change("readers")}
          options={(["standing", "first", "second"] as const).map(
            (one) => [one, words.say(`site-audit.readers-${one}`)] as const,
          )}
        />
        <SelectField
          label={words.say("site-audit.ai_positive")}
          value={typed.ai_positive}
          change={change("ai_positive")}
          options={(["high", "intermediate"] as const).map(
            (one) => [one, words.say(`site-audit.ai-${one}`)] as const,
          )}
        />
        <button type="submit">{words.say("site-audit.show")}</button>
      </form>
      {site !== "" && <Figures site={Number(site)} asked={asked} />}
    </section>
  );
}

function Figures({ site, asked }: { site: number; asked: AuditQuestion }) {
  const { words, apis } = useDesk();
  const key = JSON.stringify([site, asked]);
  const { data, problem } = useLoad(() => apis.outcomes.audit(site, asked), key);
  if (problem?.code === "no_outcomes") {
    return <p className="empty">{words.say("site-audit.no-outcomes")}</p>;
  }
  if (problem !== null) return <ProblemNote problem={problem} />;
  if (data === null) return <Busy text={words.say("site-audit.computing")} />;
  return (
    <>
      <p>
        {words.say("site-audit.counts", {
          exams: data.counts.exams ?? 0,
          patients: data.counts.patients ?? 0,
          excluded: Object.values(data.excluded).reduce((sum, n) => sum + n, 0),
          until: data.complete_until,
        })}
      </p>
      {!data.complete_until_stated && (
        <p className="note note-warning">{words.say("site-audit.until-assumed")}</p>
      )}
      {data.waiting_outcomes > 0 && (
        <p className="note note-warning">
          {words.say("site-audit.waiting", { n: data.waiting_outcomes })}
        </p>
      )}
      <FigureTable audit={data} />
      <ul>
        {Object.entries(data.criteria.met).map(([name, met]) => (
          <li key={name}>
            {words.say("site-audit.criterion", { name, met: criterionWords(words, met) })}
          </li>
        ))}
      </ul>
      <p className="quiet">
        {data.rule}. {data.ai_rule} {String(data.benchmarks.source)}. {data.criteria.source}.
      </p>
      <div className="actions">
        <a className="button" href={apis.outcomes.auditUrl(site, asked, "pdf")} download>
          PDF
        </a>
        <a className="button" href={apis.outcomes.auditUrl(site, asked, "csv")} download>
          CSV
        </a>
      </div>
      <Excluded audit={data} />
      <IntervalCancers audit={data} />
      <FairnessTables audit={data} url={apis.outcomes.auditUrl(site, asked, "fairness")} />
      {Object.entries(data.groups).map(([axis, groups]) => (
        <details key={axis}>
          <summary>{axisWords(words, axis)}</summary>
          <Table
            items={groups}
            id={(one) => one.group}
            columns={[
              { title: axisWords(words, axis), cell: (one) => one.group },
              { title: words.say("site-audit.exams"), cell: (one) => one.n },
              ...(["recall_rate", "detection_rate", "sensitivity", "specificity"] as const).map(
                (figure) => ({
                  title: figureWords(words, figure),
                  cell: (one: (typeof groups)[number]) => (
                    <>
                      {shown(one.readers[figure], data.per[figure])}
                      {one.ai && (
                        <small>{` ${words.say("column.ai")} ${shown(one.ai[figure], data.per[figure])}`}</small>
                      )}
                    </>
                  ),
                }),
              ),
            ]}
          />
        </details>
      ))}
    </>
  );
}

function FigureTable({ audit }: { audit: SiteAudit }) {
  const { words } = useDesk();
  const { comparison, per } = audit;
  return (
    <Table
      items={FIGURES}
      id={(one) => one}
      columns={[
        {
          title: words.say("site-audit.figure"),
          cell: (one) => `${figureWords(words, one)}${(per[one] ?? 100) > 100 ? " ‰" : " %"}`,
        },
        {
          title: words.say("site-audit.of-readers"),
          cell: (one) => shown(audit.readers[one], per[one]),
        },
        {
          title: words.say("site-audit.readers-with-ai"),
          cell: (one) => shown(comparison?.readers[one], per[one]),
        },
        { title: words.say("column.ai"), cell: (one) => shown(comparison?.ai[one], per[one]) },
        {
          title: words.say("site-audit.difference"),
          cell: (one) => shown(comparison?.difference[one], per[one]),
        },
        { title: "BCSC", cell: (one) => benchmark(audit.benchmarks[one], per[one]) },
      ]}
    />
  );
}

function Excluded({ audit }: { audit: SiteAudit }) {
  const { words } = useDesk();
  const rows = Object.entries(audit.excluded);
  if (rows.length === 0) return null;
  return (
    <details>
      <summary>{words.say("site-audit.excluded")}</summary>
      <ul>
        {rows.map(([reason, n]) => (
          <li key={reason}>
            {n}: {reason}
          </li>
        ))}
      </ul>
    </details>
  );
}

/** Each opens the earlier exam as a look-back: the AI's marks, and the region of the biopsy. */
function IntervalCancers({ audit }: { audit: SiteAudit }) {
  const { words } = useDesk();
  return (
    <>
      <h2>{words.say("site-audit.interval")}</h2>
      {audit.interval_cancers.length === 0 ? (
        <p className="empty">{words.say("site-audit.no-interval")}</p>
      ) : (
        <Table
          items={audit.interval_cancers}
          id={(one) => `${one.exam_id} ${one.exam_date}`}
          columns={[
            {
              title: words.say("site-audit.earlier"),
              cell: (one) =>
                one.exam_id ? <a href={lookBackTo(one.exam_id)}>{one.exam_date}</a> : one.exam_date,
            },
            {
              title: words.say("site-audit.of-readers"),
              cell: (one) => `${one.reader} ${one.birads}`,
            },
            { title: words.say("site-audit.days"), cell: (one) => one.days_after },
            {
              title: words.say("outcome.outcome"),
              cell: (one) => `${one.side} ${outcomeWords(words, one.outcome)}`,
            },
            { title: words.say("column.ai"), cell: (one) => one.ai_category },
          ]}
        />
      )}
    </>
  );
}

function shown(one: AuditFigure | null | undefined, per = 100): string {
  if (!one) return "–";
  const scaled = (value: number | null) => (value === null ? "?" : (value * per).toFixed(1));
  return `${scaled(one.value)} (${scaled(one.low)} – ${scaled(one.high)}), n = ${one.n}`;
}

function benchmark(value: number | string | undefined, per = 100): string {
  return typeof value === "number" ? (value * per).toFixed(1) : "–";
}

function criterionWords(words: AppWords, met: string | null): string {
  if (met === null) return words.say("site-audit.not-known");
  return met === "" ? words.say("site-audit.not-met") : met;
}

function figureWords(words: AppWords, figure: string): string {
  return words.say(`site-audit.figure-${figure}` as AppKey);
}

function axisWords(words: AppWords, axis: string): string {
  return words.say(`site-audit.by-${axis}` as AppKey);
}
