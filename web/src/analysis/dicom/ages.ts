/** Age of the patient, as `mammolens.images.ages`. */

import { type Caution, caution, doubt, type Header, type ImageRef } from "../types";
import { stripped, type Tags } from "./tags";

const YOUNGEST = 1;
const OLDEST = 115;
export const CHILD_YEARS = 15;
const TOLERANCE_YEARS = 2;
const DAYS_PER_YEAR = 365.25;
const DAYS: Readonly<Record<string, number>> = {
  Y: DAYS_PER_YEAR,
  M: DAYS_PER_YEAR / 12,
  W: 7,
  D: 1,
};
const AGE =
  /^(?:[>≥]?)\s*(?<number>\d{1,3}(?:[.,]\d{1,2})?)\s*(?:\+?)\s*(?<unit>YEARS?|YRS?|YO|Y|JAHRE?|JAAR|J|AÑOS|ANNI|ANOS|ANS?|A|MONTHS?|M|WEEKS?|W|DAYS?|D)?\s*\+?$/iu;
const DATE = /^\s*(\d{4})[.\-/]?(\d{2})[.\-/]?(\d{2})/;

export function readAge(text: string): number | null {
  const match = AGE.exec(stripped(text))?.groups;
  if (!match) return null;
  const letter = (match.unit ?? "Y")[0].toUpperCase();
  const unit = letter === "A" || letter === "J" ? "Y" : letter;
  return possible((Number(match.number.replace(",", ".")) * DAYS[unit]) / DAYS_PER_YEAR);
}

export function ageOf(tags: Tags): [years: number | null, notes: Caution[]] {
  const values = tags.texts("PatientAge");
  const days = ["StudyDate", "AcquisitionDate", "ContentDate"].map((word) => tags.text(word));
  const study = days.find((day) => dayOf(day) !== null) ?? null;
  const stated = new Set(values.map(readAge).filter((age) => age !== null));
  const computed = computedAge(tags.text("PatientBirthDate"), study);
  let fault = "";
  if (values.length && !stated.size) fault = "is not a possible age";
  else if (stated.size > 1 && !agree([...stated])) fault = "has several ages";
  else if (computed !== null && stated.size && !agree([...stated, computed])) {
    const text = "PatientAge disagrees with birth date and study date; the dates were used";
    return [computed, [doubt("age_disagrees", text)]];
  }
  if (!fault && stated.size) return [Math.min(...stated), []];
  if (computed !== null) {
    const text = `PatientAge ${fault || "is missing"}; the age was computed from birth date and`;
    return [computed, [caution("age_from_birth_date", `${text} study date`)]];
  }
  return [null, fault ? [caution("age_unusable", `PatientAge ${fault}`)] : []];
}

/** One age for the images of an exam. */
export function examAge(
  images: readonly { ref: ImageRef; header: Header }[],
): [years: number | null, note: Caution | null] {
  const ages = images
    .map(({ ref }) => ref.ageYears)
    .filter((age) => age !== null)
    .filter((age) => possible(age) !== null);
  if (!ages.length || agree(ages)) return [ages[0] ?? null, null];
  const computed = images
    .map(({ ref, header }) => {
      const days = [header.studyDate, ref.acquisitionDate, header.contentDate];
      return computedAge(header.birthDate, days.find((day) => dayOf(day) !== null) ?? null);
    })
    .filter((age) => age !== null);
  if (computed.length && agree(computed)) {
    const text =
      "the images have several ages; the age was computed from birth date and study date";
    return [computed[0], doubt("age_disagrees", text)];
  }
  const text = "the images have several ages; the age is treated as unknown";
  return [null, doubt("age_disagrees", text)];
}

function computedAge(birth: string | null, study: string | null): number | null {
  const born = dayOf(birth);
  const studied = dayOf(study);
  return born === null || studied === null ? null : possible((studied - born) / DAYS_PER_YEAR);
}

/** Days since 1970; null if it is not a date. */
function dayOf(text: string | null): number | null {
  const match = DATE.exec(text ?? "");
  if (match === null) return null;
  const [year, month, day] = match.slice(1).map(Number);
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  if (year < 1 || date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day) return null;
  return Math.round(date.getTime() / 86_400_000);
}

function possible(years: number): number | null {
  return years >= YOUNGEST && years <= OLDEST ? years : null;
}

function agree(ages: readonly number[]): boolean {
  return Math.max(...ages) - Math.min(...ages) <= TOLERANCE_YEARS;
}
