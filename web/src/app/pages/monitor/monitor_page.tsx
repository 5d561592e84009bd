/** The drift monitor: what has changed, and every group of exams with its condition. */

import { type Alarm, type Monitor, monitorApi } from "../../api/monitor";
import { hashTo } from "../../logic/route";
import { dateTimeWords } from "../../logic/times";
import { useDesk } from "../../parts/app_context";
import { ProblemNote } from "../../parts/form";
import { useAction, useGrowing, useLoad } from "../../parts/hooks";
import { ListPage, Table } from "../../parts/list_page";
import { numberWords } from "./chart";
import { MonitorDetail } from "./monitor_detail";

export default function MonitorPage({ id }: { readonly id: number | null }) {
  return id === null ? <MonitorList /> : <MonitorDetail key={id} id={id} />;
}

function MonitorList() {
  const { words, apis } = useDesk();
  const api = monitorApi(apis.client);
  const budget = useLoad(() => api.list(null), "monitor budget");
  const list = useGrowing(api.list, "monitors");
  const group = useGroup();
  const how = budget.data && {
    n: budget.data.run_length.toLocaleString(words.locale),
    least: budget.data.least,
  };
  return (
    <ListPage
      title={words.say("page.monitor")}
      {...(how && { how: words.say("drift.how", how) })}
      empty={words.say("drift.none")}
      list={list}
      more={list.more}
    >
      {(monitors) => (
        <>
          <Alarms />
          <h2>{words.say("drift.groups")}</h2>
          <Table
            items={monitors}
            id={(one) => one.id}
            columns={[
              {
                title: words.say("drift.group"),
                cell: (one) => (
                  <>
                    <a href={hashTo("monitor", one.id)}>{group(one)}</a>
                    <small>{words.say(`drift.${one.partition}`)}</small>
                  </>
                ),
              },
              {
                title: words.say("drift.exams"),
                cell: (one) => Math.max(0, ...one.measures.map((measure) => measure.exams)),
              },
              { title: words.say("column.status"), cell: (one) => <Conditions of={one} /> },
            ]}
          />
        </>
      )}
    </ListPage>
  );
}

function Conditions({ of }: { readonly of: Monitor }) {
  const { words } = useDesk();
  const measure = useMeasure();
  const alarms = of.measures.filter((one) => one.condition === "alarm");
  const isStable = of.measures.some((one) => one.condition === "stable");
  const muted = of.muted_until !== null && new Date(of.muted_until) > new Date();
  return (
    <>
      {alarms.length > 0 ? (
        <strong className="drift-alarm">
          {words.say("drift.alarm")}: {alarms.map((one) => measure(one.name)).join(", ")}
        </strong>
      ) : (
        words.say(isStable ? "drift.stable" : "drift.waiting")
      )}
      {muted && (
        <small>
          {words.say("drift.muted", { time: dateTimeWords(of.muted_until, words.locale) })}
        </small>
      )}
    </>
  );
}

function Alarms() {
  const { words, apis } = useDesk();
  const api = monitorApi(apis.client);
  const list = useGrowing(api.alarms, "drift alarms");
  const action = useAction();
  const group = useGroup();
  const measure = useMeasure();
  if (list.data === null || list.data.length === 0) {
    return <p className="quiet">{list.data === null ? "" : words.say("drift.no-alarms")}</p>;
  }
  const acknowledge = (alarm: Alarm) =>
    action.run(async () => {
      await api.acknowledge(alarm.id);
      list.reload();
    });
  return (
    <>
      <h2>{words.say("drift.alarms")}</h2>
      <ProblemNote problem={action.problem} />
      <Table
        items={list.data}
        id={(one) => one.id}
        rowClass={(one) => (one.acknowledged_at === null ? "due" : "")}
        columns={[
          {
            title: words.say("drift.what"),
            cell: (one) => (
              <>
                <a href={`${hashTo("monitor", one.monitor_id)}?measure=${one.measure}`}>
                  {measure(one.measure)}: {words.say(`drift.${one.direction}`)}
                </a>
                <small>
                  {numberWords(one.mean_before, words.locale)} →{" "}
                  {numberWords(one.mean_after, words.locale)}
                </small>
              </>
            ),
          },
          {
            title: words.say("drift.group"),
            cell: (one) => (
              <>
                {group(one)}
                <small>{words.say(`drift.${one.partition}`)}</small>
              </>
            ),
          },
          {
            title: words.say("drift.since"),
            cell: (one) => (
              <>
                {dateTimeWords(one.since_at ?? one.raised_at, words.locale)}
                <small>{words.say("drift.n-exams", { n: one.n_after })}</small>
              </>
            ),
          },
          {
            title: words.say("column.status"),
            cell: (one) =>
              one.acknowledged_at === null ? (
                <button
                  type="button"
                  className="primary"
                  disabled={action.isBusy}
                  onClick={() => void acknowledge(one)}
                >
                  {words.say("notice.acknowledge")}
                </button>
              ) : (
                words.say("notice.acknowledged-by", {
                  name: one.acknowledged_by ?? "–",
                  time: dateTimeWords(one.acknowledged_at, words.locale),
                })
              ),
          },
        ]}
      />
      {list.more && (
        <button type="button" onClick={list.more}>
          {words.say("app.more")}
        </button>
      )}
    </>
  );
}

/** How a group is called: a site by its name, a machine with its site. */
export function useGroup(): (of: Pick<Monitor, "site_id" | "partition" | "name">) => string {
  const { words, sites } = useDesk();
  return ({ site_id, partition, name }) => {
    const site =
      sites.find((one) => one.id === site_id)?.name ??
      (site_id === null ? words.say("drift.no-site") : `#${site_id}`);
    return partition === "site" ? site : `${name} · ${site}`;
  };
}

const MEASURES = [
  ...(["score", "high", "low", "sharpness", "mean_grey", "clipping"] as const),
  ...(["noise", "missing_views", "failed", "disagreement"] as const),
];

/** A measure that this page does not know is called as the server calls it. */
export function useMeasure(): (name: string) => string {
  const { words } = useDesk();
  return (name) => {
    const known = MEASURES.find((one) => one === name);
    return known === undefined ? name : words.say(`measure.${known}`);
  };
}
