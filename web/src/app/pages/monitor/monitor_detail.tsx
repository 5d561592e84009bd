/** One group of exams: a chart of each measure, examples of a change, and what to do about it. */

import { type FormEvent, useState } from "react";
import { type Alarm, type Monitor, monitorApi } from "../../api/monitor";
import { hashTo, parseRoute } from "../../logic/route";
import { dateTimeWords } from "../../logic/times";
import { useDesk } from "../../parts/app_context";
import { Busy, ProblemNote, SelectField } from "../../parts/form";
import { useAction, useLoad, useTitle } from "../../parts/hooks";
import { Chart, numberWords } from "./chart";
import { useGroup, useMeasure } from "./monitor_page";

const MUTES: readonly (readonly [string, number])[] = [
  ["1", 1],
  ["7", 7],
  ["30", 30],
];
const DAY_MS = 86_400_000;

export function MonitorDetail({ id }: { readonly id: number }) {
  const { words, apis } = useDesk();
  const found = useLoad(() => monitorApi(apis.client).show(id), `monitor ${id}`);
  const group = useGroup();
  const title = found.data === null ? words.say("page.monitor") : group(found.data);
  useTitle(title);
  return (
    <section className="page">
      <header className="page-head">
        <h1>{title}</h1>
        <a href={hashTo("monitor")}>{words.say("drift.all")}</a>
      </header>
      <ProblemNote problem={found.problem} />
      {found.data === null && found.problem === null && <Busy text={words.say("app.loading")} />}
      {found.data !== null && <Measures monitor={found.data} reload={found.reload} />}
    </section>
  );
}

function Measures({ monitor, reload }: { readonly monitor: Monitor; reload(): void }) {
  const { words, apis, announce } = useDesk();
  const named = useMeasure();
  const asked = parseRoute(location.hash).query.measure;
  const alarmed = monitor.measures.find((one) => one.condition === "alarm");
  const [measure, setMeasure] = useState(asked ?? alarmed?.name ?? monitor.measures[0]?.name ?? "");
  const api = monitorApi(apis.client);
  const points = useLoad(() => api.points(monitor.id, measure), `points ${measure}`);
  const condition = monitor.measures.find((one) => one.name === measure);
  const { isBusy, problem, run } = useAction();
  const act = (change: () => Promise<unknown>) =>
    run(async () => {
      await change();
      announce(words.say("app.saved"));
      reload();
      points.reload();
    });
  if (condition === undefined && monitor.measures.length === 0) {
    return <p className="empty">{words.say("drift.waiting")}</p>;
  }
  // A measure that was just restarted has no exams yet, and stays the one that is shown.
  const measures =
    condition === undefined
      ? [...monitor.measures, { name: measure, condition: "waiting" as const }]
      : monitor.measures;
  const alarm = points.data?.alarms.find((one) => one.ended_at === null) ?? null;
  return (
    <>
      <div className="narrow">
        <SelectField
          label={words.say("drift.measure")}
          value={measure}
          change={setMeasure}
          options={measures.map((one) => [
            one.name,
            `${named(one.name)} (${words.say(`drift.${one.condition}`)})`,
          ])}
        />
      </div>
      <ProblemNote problem={points.problem ?? problem} />
      {points.data !== null && points.data.points.length > 0 && (
        <Chart
          points={points.data.points}
          alarm={alarm}
          isShare={points.data.is_share}
          label={named(measure)}
        />
      )}
      {alarm !== null && <AlarmWords alarm={alarm} examples={points.data?.examples ?? []} />}
      <div className="actions drift-acts">
        {alarm !== null && alarm.acknowledged_at === null && (
          <button
            type="button"
            className="primary"
            disabled={isBusy}
            onClick={() => void act(() => api.acknowledge(alarm.id))}
          >
            {words.say("notice.acknowledge")}
          </button>
        )}
        <button
          type="button"
          disabled={isBusy}
          title={words.say("drift.restart-how")}
          onClick={() => void act(() => api.restart(monitor.id, [measure]))}
        >
          {words.say("drift.restart", { measure: named(measure) })}
        </button>
      </div>
      <p className="quiet">{words.say("drift.restart-how")}</p>
      <Mute monitor={monitor} isBusy={isBusy} set={(to) => act(() => api.mute(monitor.id, to))} />
    </>
  );
}

function AlarmWords({ alarm, examples }: { readonly alarm: Alarm; examples: readonly number[] }) {
  const { words } = useDesk();
  return (
    <section className="block">
      <p>
        <strong className="drift-alarm">{words.say(`drift.${alarm.direction}`)}</strong>{" "}
        {words.say("drift.alarm-words", {
          since: dateTimeWords(alarm.since_at ?? alarm.raised_at, words.locale),
          before: numberWords(alarm.mean_before, words.locale),
          n: alarm.n_before,
          after: numberWords(alarm.mean_after, words.locale),
          m: alarm.n_after,
        })}
      </p>
      {examples.length > 0 && (
        <p>
          {words.say("drift.examples")}:{" "}
          {examples.map((exam) => (
            <a key={exam} className="drift-example" href={hashTo("exams", exam)}>
              {words.say("exam.number", { n: exam })}
            </a>
          ))}
        </p>
      )}
    </section>
  );
}

interface MuteProps {
  readonly monitor: Monitor;
  readonly isBusy: boolean;
  set(until: string | null): Promise<unknown>;
}

function Mute({ monitor, isBusy, set }: MuteProps) {
  const { words } = useDesk();
  const [days, setDays] = useState("7");
  const muted = monitor.muted_until !== null && new Date(monitor.muted_until) > new Date();
  const submit = (event: FormEvent) => {
    event.preventDefault();
    void set(muted ? null : new Date(Date.now() + Number(days) * DAY_MS).toISOString());
  };
  return (
    <form className="stack narrow" onSubmit={submit}>
      {muted ? (
        <p>
          {words.say("drift.muted", { time: dateTimeWords(monitor.muted_until, words.locale) })}
        </p>
      ) : (
        <SelectField
          label={words.say("drift.mute")}
          value={days}
          change={setDays}
          options={MUTES.map(([key, n]) => [key, words.say("account.days", { n })])}
        />
      )}
      <div className="actions">
        <button type="submit" disabled={isBusy}>
          {words.say(muted ? "drift.unmute" : "drift.mute-now")}
        </button>
      </div>
    </form>
  );
}
