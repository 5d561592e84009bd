/** Devices that keep data of a person while there is no line. */

import type { Client } from "./client";
import type { Id } from "./types";

/** How a device may open without a line; settings of the server. */
export interface DeviceRules {
  readonly offline_hours: number;
  readonly pin_attempts: number;
}

export interface DeviceNote {
  readonly id: string;
  readonly agent: string;
  readonly created_at: string;
  readonly seen_at: string;
}

export function devicesApi(client: Client) {
  return {
    list: () => client.call<readonly DeviceNote[]>("GET", "/devices"),
    add: (wrapped_key: string) =>
      client.call<DeviceRules & { device: DeviceNote }>("POST", "/devices", {
        body: { wrapped_key },
      }),
    key: (id: string) =>
      client.call<DeviceRules & { wrapped_key: string }>("GET", `/devices/${id}/key`),
    wipe: (id: string) => client.call<void>("DELETE", `/devices/${id}`),
    wipeAllOf: (person: Id) =>
      client.call<{ wiped: number }>("DELETE", `/people/${person}/devices`),
  };
}

export type DevicesApi = ReturnType<typeof devicesApi>;
