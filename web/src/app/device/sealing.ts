/**
 * Encryption of what a device keeps. One random key of 32 bytes opens everything; of it one key is
 * derived for contents (AES-GCM) and one for names (HMAC), so that no name tells of a patient.
 */

const IV_BYTES = 12;
const KEY_BYTES = 32;
/** PBKDF2 with SHA-256: OWASP Password Storage Cheat Sheet, 2023. */
export const PIN_ITERATIONS = 600_000;

export type Bytes = Uint8Array<ArrayBuffer>;

export interface Keys {
  readonly content: CryptoKey;
  readonly names: CryptoKey;
}

export interface Sealed {
  readonly iv: Bytes;
  readonly bytes: ArrayBuffer;
}

export const newKey = (): Bytes => crypto.getRandomValues(new Uint8Array(KEY_BYTES));

/** A key that this browser can use and that nobody can read out of it by the API. */
export function newDeviceKey(): Promise<CryptoKey> {
  const form = { name: "AES-GCM", length: 256 };
  return crypto.subtle.generateKey(form, false, ["encrypt", "decrypt"]);
}

export async function keysOf(key: Bytes): Promise<Keys> {
  const base = await crypto.subtle.importKey("raw", key, "HKDF", false, ["deriveKey"]);
  const derive = (info: string, form: AesKeyGenParams | HmacKeyGenParams, uses: KeyUsage[]) => {
    const way = {
      name: "HKDF",
      hash: "SHA-256",
      salt: new Uint8Array(),
      info: new TextEncoder().encode(`mammolens ${info}`),
    };
    return crypto.subtle.deriveKey(way, base, form, false, uses);
  };
  return {
    content: await derive("content", { name: "AES-GCM", length: 256 }, ["encrypt", "decrypt"]),
    names: await derive("names", { name: "HMAC", hash: "SHA-256", length: 256 }, ["sign"]),
  };
}

/** The name under which something is kept. */
export async function nameOf(keys: Keys, text: string): Promise<string> {
  const tag = await crypto.subtle.sign("HMAC", keys.names, new TextEncoder().encode(text));
  return toHex(new Uint8Array(tag));
}

/** @param place where it is kept; moved to another place it cannot be opened */
export async function seal(key: CryptoKey, place: string, content: Bytes): Promise<Sealed> {
  const iv = crypto.getRandomValues(new Uint8Array(IV_BYTES));
  const additionalData = new TextEncoder().encode(place);
  const bytes = await crypto.subtle.encrypt({ name: "AES-GCM", iv, additionalData }, key, content);
  return { iv, bytes };
}

/** @throws if the key is another one, or anything was changed */
export async function unseal(key: CryptoKey, place: string, sealed: Sealed): Promise<Bytes> {
  const additionalData = new TextEncoder().encode(place);
  const way = { name: "AES-GCM", iv: sealed.iv, additionalData };
  return new Uint8Array(await crypto.subtle.decrypt(way, key, sealed.bytes));
}

export async function pinKey(pin: string, salt: Bytes, iterations: number): Promise<CryptoKey> {
  const typed = new TextEncoder().encode(pin);
  const base = await crypto.subtle.importKey("raw", typed, "PBKDF2", false, ["deriveKey"]);
  const way = { name: "PBKDF2", hash: "SHA-256", salt, iterations };
  const form = { name: "AES-GCM", length: 256 };
  return crypto.subtle.deriveKey(way, base, form, false, ["encrypt", "decrypt"]);
}

/** A sealed key as text, for the server. */
export function toText({ iv, bytes }: Sealed): string {
  return btoa(String.fromCharCode(...iv, ...new Uint8Array(bytes)));
}

export function fromText(text: string): Sealed {
  const all = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  return { iv: all.slice(0, IV_BYTES), bytes: all.slice(IV_BYTES).buffer };
}

function toHex(bytes: Uint8Array): string {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
