/** Times and ages in words of a language. */

export interface Waiting {
  readonly unit: "minute" | "hour" | "day";
  readonly count: number;
}

const HOUR_MIN = 60;
const DAY_MIN = 24 * HOUR_MIN;
/** From two days on whole days are shown. */
const WHOLE_DAYS_MIN = 2 * DAY_MIN;

/** How long something has waited. A clock that runs ahead of the server's shows no negative time. */
export function waitingSince(since: string, now: number): Waiting | null {
  const began = Date.parse(since);
  if (Number.isNaN(began)) return null;
  const minutes = Math.max(0, Math.floor((now - began) / 60_000));
  if (minutes < HOUR_MIN) return { unit: "minute", count: minutes };
  if (minutes < WHOLE_DAYS_MIN) return { unit: "hour", count: Math.floor(minutes / HOUR_MIN) };
  return { unit: "day", count: Math.floor(minutes / DAY_MIN) };
}

export function waitingWords(waiting: Waiting, language: string): string {
  return new Intl.NumberFormat(language, {
    style: "unit",
    unit: waiting.unit,
    unitDisplay: "short",
  }).format(waiting.count);
}

export function dateTimeWords(iso: string, language: string): string {
  const at = new Date(iso);
  if (Number.isNaN(at.getTime())) return iso;
  return at.toLocaleString(language, { dateStyle: "medium", timeStyle: "short" });
}

/** A DICOM or ISO date without a time; it belongs to no time zone. */
export function dateWords(date: string, language: string): string {
  const match = /^(\d{4})-?(\d{2})-?(\d{2})$/.exec(date);
  if (match === null) return date;
  const at = new Date(Date.UTC(Number(match[1]), Number(match[2]) - 1, Number(match[3])));
  return at.toLocaleDateString(language, { dateStyle: "medium", timeZone: "UTC" });
}

/** `Family^Given^^Dr` as people read it. */
export function nameWords(name: string | null): string | null {
  const [family = "", given = "", middle = ""] = (name ?? "").split("=")[0].split("^");
  const first = [given, middle].map((part) => part.trim()).filter(Boolean);
  const words = [family.trim(), first.join(" ")].filter(Boolean).join(", ");
  return words === "" ? null : words;
}
