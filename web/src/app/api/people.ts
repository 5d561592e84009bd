/** People, their roles, sites and the audit trail. */

import { type Client, queryOf } from "./client";
import type {
  AuditEntry,
  Id,
  Invited,
  Page,
  Person,
  Role,
  RoleAt,
  Site,
  Verification,
} from "./types";

export interface Invitation {
  readonly name: string;
  readonly display_name: string;
  readonly roles: readonly RoleAt[];
  readonly by_provider: boolean;
}

export function peopleApi(client: Client) {
  const at = (id: Id) => `/people/${id}`;
  return {
    list: () => client.call<readonly Person[]>("GET", "/people"),
    invite: (invitation: Invitation) =>
      client.call<Invited>("POST", "/people", { body: invitation }),
    rename: (id: Id, display_name: string) =>
      client.call<Person>("PATCH", at(id), { body: { display_name } }),
    setRoles: (id: Id, site: Id, roles: readonly Role[]) =>
      client.call<Person>("PUT", `${at(id)}/sites/${site}`, { body: { roles } }),
    setAdministrator: (id: Id, administrator: boolean) =>
      client.call<Person>("PUT", `${at(id)}/administrator`, { body: { administrator } }),
    setActive: (id: Id, active: boolean) =>
      client.call<Person>("PUT", `${at(id)}/active`, { body: { active } }),
    renewPassword: (id: Id) => client.call<Invited>("POST", `${at(id)}/password`),
    endSessions: (id: Id) => client.call<{ ended: number }>("DELETE", `${at(id)}/sessions`),
  };
}

export function sitesApi(client: Client) {
  return {
    list: () => client.call<readonly Site[]>("GET", "/sites"),
    make: (key: string, name: string) =>
      client.call<Site>("POST", "/sites", { body: { key, name } }),
    change: (id: Id, changes: Partial<Omit<Site, "id" | "key" | "created_at">>) =>
      client.call<Site>("PATCH", `/sites/${id}`, { body: changes }),
    readingsUrl: (id: Id) => `/api/v1/sites/${id}/readings.csv`,
  };
}

export interface AuditQuery {
  readonly actor?: string;
  readonly action?: string;
  readonly exam?: string;
  readonly cursor?: Id | null;
}

export function auditApi(client: Client) {
  return {
    list: (query: AuditQuery) =>
      client.call<Page<AuditEntry, Id>>("GET", `/audit${queryOf({ ...query, limit: 50 })}`),
    verify: () => client.call<Verification>("GET", "/audit/verification"),
  };
}
