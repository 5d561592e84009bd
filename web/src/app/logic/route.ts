/**
 * Which page is shown: the part of the address after `#`. The server needs to know one page only,
 * and no address of an exam stands in its log.
 */

export const PAGES = [
  "worklist",
  "exams",
  "arbitration",
  "patients",
  "upload",
  "analysis",
  "field",
  "opinions",
  "notices",
  "recalls",
  "outcomes",
  "site-audit",
  "people",
  "sites",
  "audit",
  "monitor",
  "account",
  "device",
] as const;
export type PageName = (typeof PAGES)[number];

export interface Route {
  readonly page: PageName;
  /** What follows the page: the number of an exam, the key of a patient. */
  readonly id: string | null;
  readonly query: Readonly<Record<string, string>>;
}

export const HOME: Route = { page: "worklist", id: null, query: {} };

export function parseRoute(hash: string): Route {
  const [path = "", search = ""] = hash.replace(/^#?\/?/, "").split("?");
  const [name = "", id = ""] = path.split("/");
  const page = PAGES.find((one) => one === name);
  if (page === undefined) return HOME;
  const query = Object.fromEntries(new URLSearchParams(search));
  return { page, id: id === "" ? null : safeDecode(id), query };
}

export function hashOf({ page, id, query }: Route): string {
  const search = new URLSearchParams(query).toString();
  const place = id === null ? page : `${page}/${encodeURIComponent(id)}`;
  return `#/${place}${search === "" ? "" : `?${search}`}`;
}

export function hashTo(page: PageName, id: string | number | null = null): string {
  return hashOf({ page, id: id === null ? null : String(id), query: {} });
}

/** The exam before an interval cancer, opened as a look-back; the audit trail says so. */
export function lookBackTo(exam: number): string {
  return hashOf({ page: "exams", id: String(exam), query: { "look-back": "1" } });
}

export function isLookBack({ query }: Route): boolean {
  return query["look-back"] === "1";
}

/** The number in an address; null if it is not one. */
export function numberOf(id: string | null): number | null {
  return id !== null && /^[1-9]\d{0,9}$/.test(id) ? Number(id) : null;
}

function safeDecode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
