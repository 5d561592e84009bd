/** Subgroups over time: each group beside all other exams, valid at every look. */

import type { Fairness, SiteAudit, WatchedGroup, WatchedShare } from "../../api/outcomes";
import { dateWords } from "../../logic/times";
import type { AppKey } from "../../messages/text";
import { useDesk } from "../../parts/app_context";
import { Table } from "../../parts/list_page";

const WHO = ["ai", "readers"] as const;

export function FairnessTables({ audit, url }: { audit: SiteAudit; url: string }) {
  const { words } = useDesk();
  const shown = WHO.flatMap((who) => {
    const found = audit.fairness[who];
    return found === null ? [] : [{ who, found }];
  });
  return (
    <section>
      <h2>{words.say("fairness.title")}</h2>
      <p className="quiet how">
        {words.say("fairness.how", { percent: 100 * (shown[0]?.found.alpha ?? 0.05) })}
      </p>
      {shown.length === 0 && <p className="empty">{words.say("fairness.none")}</p>}
      {shown.map(({ who, found }) => (
        <OneTable
          key={who}
          title={words.say(who === "ai" ? "column.ai" : "site-audit.of-readers")}
          found={found}
        />
      ))}
      {shown.length > 0 && (
        <div className="actions">
          <a className="button" href={url} download>
            {words.say("fairness.csv")}
          </a>
        </div>
      )}
    </section>
  );
}

function OneTable({ title, found }: { title: string; found: Fairness }) {
  const { words } = useDesk();
  const since = (one: WatchedGroup) =>
    one.alarm_since === null ? "–" : dateWords(one.alarm_since, words.locale);
  return (
    <>
      <h3>{title}</h3>
      <p className={found.alarms > 0 ? "note note-warning" : "note"}>
        {found.alarms > 0
          ? words.say("fairness.alarms", { n: found.alarms })
          : words.say("fairness.no-alarm")}
      </p>
      {found.figures.length === 0 ? (
        <p className="empty">{words.say("fairness.no-group")}</p>
      ) : (
        <Table
          items={found.figures}
          id={(one) => `${one.axis} ${one.group} ${one.figure}`}
          rowClass={(one) => (one.alarm_since === null ? "" : "due")}
          columns={[
            {
              title: words.say("fairness.group"),
              cell: (one) => `${words.say(`site-audit.by-${one.axis}` as AppKey)} ${one.group}`,
            },
            {
              title: words.say("site-audit.figure"),
              cell: (one) => `${words.say(`site-audit.figure-${one.figure}`)} %`,
            },
            { title: words.say("fairness.in-group"), cell: share },
            { title: words.say("fairness.others"), cell: (one) => share(one.others) },
            {
              title: words.say("fairness.difference"),
              cell: (one) => range(one.difference, one.always_low, one.always_high),
            },
            { title: words.say("fairness.since"), cell: since },
          ]}
        />
      )}
    </>
  );
}

function share({ value, low, high, n }: WatchedShare): string {
  return `${range(value, low, high)}, n = ${n}`;
}

function range(value: number, low: number, high: number): string {
  const [one, from, to] = [value, low, high].map((share) => (100 * share).toFixed(1));
  return `${one} (${from} – ${to})`;
}
