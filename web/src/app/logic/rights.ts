/** What a person may do, as far as the page has to know: which parts of it are shown at all. */

import type { Id, Person, Role } from "../api/types";
import type { PageName } from "./route";

export function hasRole(person: Person, role: Role, site?: Id | null): boolean {
  return person.roles.some((one) => one.role === role && (site === undefined || one.site === site));
}

export function administers(person: Person): boolean {
  return person.is_administrator || hasRole(person, "administrator");
}

export function sitesAs(person: Person, role: Role): readonly Id[] {
  return person.roles.filter((one) => one.role === role).map((one) => one.site);
}

/** Whether a person reads, arbitrates or sends where an exam belongs. */
export function worksOn(
  person: Person,
  site: Id | null,
  role: "reader" | "arbiter" | "uploader",
): boolean {
  return site !== null && hasRole(person, role, site);
}

/** Whether a person examines patients in the community, and is shown nothing of the AI. */
export function examinesAlone(person: Person): boolean {
  const others = ["reader", "arbiter", "administrator"] as const;
  const sees = person.is_administrator || others.some((role) => hasRole(person, role));
  return hasRole(person, "health_worker") && !sees;
}

/** Pages of the navigation for a person, in order. The server decides again at each request. */
export function pagesOf(person: Person): readonly PageName[] {
  const reads = hasRole(person, "reader") || hasRole(person, "arbiter");
  const examines = examinesAlone(person);
  const pages: [PageName, boolean][] = [
    ["field", hasRole(person, "health_worker")],
    ["worklist", true],
    ["arbitration", hasRole(person, "arbiter")],
    ["opinions", reads],
    ["notices", true],
    ["recalls", true],
    ["outcomes", reads || administers(person)],
    ["site-audit", administers(person)],
    ["upload", hasRole(person, "uploader") || administers(person)],
    ["analysis", !examines],
    ["device", true],
    ["people", administers(person)],
    ["sites", administers(person)],
    ["audit", person.is_administrator],
    ["monitor", administers(person)],
  ];
  return pages.filter(([, shown]) => shown).map(([page]) => page);
}
