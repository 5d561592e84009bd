/** The drift monitor: groups of exams, what was found, and what people decide about it. */

import { type Client, queryOf } from "./client";
import type { Id, Page } from "./types";

export type Condition = "waiting" | "stable" | "alarm";

export interface Monitor {
  readonly id: Id;
  readonly site_id: Id | null;
  readonly partition: "site" | "machine" | "software";
  readonly name: string;
  readonly muted_until: string | null;
  readonly changed_at: string;
  readonly measures: readonly {
    readonly name: string;
    readonly condition: Condition;
    readonly exams: number;
  }[];
}

export interface MonitorPage extends Page<Monitor, Id> {
  readonly run_length: number;
  readonly least: number;
}

export interface Alarm {
  readonly id: Id;
  readonly monitor_id: Id;
  readonly site_id: Id | null;
  readonly partition: Monitor["partition"];
  readonly name: string;
  readonly measure: string;
  readonly direction: "lower" | "higher" | "wider" | "narrower";
  readonly since: number;
  readonly since_at: string | null;
  readonly n_before: number;
  readonly n_after: number;
  readonly mean_before: number;
  readonly mean_after: number;
  readonly raised_at: string;
  readonly acknowledged_by: string | null;
  readonly acknowledged_at: string | null;
  readonly ended_by: string | null;
  readonly ended_at: string | null;
}

export interface Point {
  readonly number: number;
  readonly at: string;
  readonly value: number;
  readonly exam_id: Id | null;
}

export interface MeasurePoints {
  readonly is_share: boolean;
  readonly points: readonly Point[];
  readonly alarms: readonly Alarm[];
  readonly examples: readonly Id[];
}

export function monitorApi(client: Client) {
  const at = (id: Id) => `/monitor/${id}`;
  return {
    list: (before: Id | null) =>
      client.call<MonitorPage>("GET", `/monitor${queryOf({ before, limit: 50 })}`),
    alarms: (before: Id | null) =>
      client.call<Page<Alarm, Id>>("GET", `/monitor/alarms${queryOf({ before, limit: 50 })}`),
    show: (id: Id) => client.call<Monitor>("GET", at(id)),
    points: (id: Id, measure: string) =>
      client.call<MeasurePoints>("GET", `${at(id)}/measures/${measure}`),
    acknowledge: (alarm: Id) =>
      client.call<Alarm>("POST", `/monitor/alarms/${alarm}/acknowledgement`),
    mute: (id: Id, until: string | null) =>
      client.call<Monitor>("PUT", `${at(id)}/mute`, { body: { until } }),
    restart: (id: Id, measures: readonly string[]) =>
      client.call<Monitor>("POST", `${at(id)}/restart`, { body: { measures } }),
  };
}
