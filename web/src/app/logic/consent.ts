/** What a patient agrees to before images are sent. Pure but for the digest. */

import type { Site } from "../api/types";
import type { AppKey, AppWords } from "../messages/text";
import { newKey } from "./request_keys";

/** A text that was changed is a new version; the old one stays in the message files. */
export const CONSENT_VERSION = "1";

export interface Consent {
  readonly id: string;
  readonly text_version: string;
  readonly text_digest: string;
  readonly language: string;
  readonly name: string;
  readonly patient_id: string;
  readonly birth_year: number;
  readonly given_at: string;
}

/** The text in the person's language; a site may have one of its own (`consent.1.KEY`). */
export function consentText(words: AppWords, site: Site): string {
  const own = `consent.${CONSENT_VERSION}.${site.key}`;
  const key = words.has(own) ? (own as AppKey) : (`consent.${CONSENT_VERSION}` as AppKey);
  return words.say(key, { site: site.name });
}

/** @param text as the patient was shown it: its SHA-256 proves which one it was */
export async function makeConsent(
  text: string,
  language: string,
  who: { readonly name: string; readonly patientId: string; readonly birthYear: number },
  now: Date,
): Promise<Consent> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  const hex = Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0"));
  return {
    id: newKey(),
    text_version: CONSENT_VERSION,
    text_digest: hex.join(""),
    language,
    name: who.name,
    patient_id: who.patientId,
    birth_year: who.birthYear,
    given_at: now.toISOString(),
  };
}

/** A year of birth that a living adult can have; null: it is not one. */
export function birthYearOf(typed: string, now: Date): number | null {
  if (!/^\d{4}$/.test(typed.trim())) return null;
  const year = Number(typed);
  const age = now.getFullYear() - year;
  return age >= 15 && age <= 120 ? year : null;
}
