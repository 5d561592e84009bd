/**
 * What a device keeps of one person, encrypted, and how it opens:
 *
 * - after a sign-in: the server gives the key, which only this device can decrypt;
 * - without a line: by a PIN, for some hours after the last sign-in. Too many wrong PINs delete
 *   everything, and so does the server's word that the device was wiped.
 */

import type { DeviceRules } from "../api/devices";
import {
  type Bytes,
  fromText,
  type Keys,
  keysOf,
  nameOf,
  newDeviceKey,
  newKey,
  PIN_ITERATIONS,
  pinKey,
  type Sealed,
  seal,
  toText,
  unseal,
} from "./sealing";
import type { Store, Table } from "./store";

export type SealedTable = Exclude<Table, "device">;

/** Kept in clear: it says nothing about a patient. */
interface DeviceRecord {
  readonly id: string;
  readonly key: CryptoKey;
}

interface PinRecord {
  readonly salt: Bytes;
  readonly iterations: number;
  /** The key of the data, sealed by the PIN and then by the device. */
  readonly sealed: Sealed;
  /** Milliseconds since 1970; afterwards the record is deleted. */
  readonly until: number;
  /** The latest time that was seen: a clock that was set back opens nothing. */
  readonly seen: number;
  readonly failures: number;
  readonly attempts: number;
}

export interface OpenVault {
  readonly device: string;
  put(table: SealedTable, name: string, content: unknown): Promise<void>;
  putBytes(table: SealedTable, name: string, content: Bytes): Promise<void>;
  get<T>(table: SealedTable, name: string): Promise<T | undefined>;
  getBytes(table: SealedTable, name: string): Promise<Bytes | undefined>;
  remove(table: SealedTable, name: string): Promise<void>;
  /** Lets the device open by this PIN without a line. */
  setPin(pin: string, rules: DeviceRules, now?: number): Promise<void>;
}

export type PinOutcome =
  | { readonly kind: "open"; readonly vault: OpenVault }
  | { readonly kind: "wrong"; readonly left: number }
  /** It can be opened by a sign-in only. */
  | { readonly kind: "over" }
  | { readonly kind: "wiped" };

export const LEAST_PIN = 6;
const HOUR_MS = 3_600_000;
/** Clocks are set by moments; more is a jump. */
const BACK_MS = 60_000;
const DATA_KEY = "key of the data";

/** Makes a device of this browser: `enter` gives the server the sealed key and hears its name. */
export async function makeVault(
  store: Store,
  enter: (wrapped: string) => Promise<string>,
): Promise<OpenVault> {
  const device = await newDeviceKey();
  const key = newKey();
  const id = await enter(toText(await seal(device, DATA_KEY, key)));
  await store.put("device", "device", { id, key: device } satisfies DeviceRecord);
  return opened(store, { id, key: device }, key);
}

/** The name of this device at the server; null: this browser keeps nothing of the person. */
export async function deviceOf(store: Store): Promise<string | null> {
  return (await store.get<DeviceRecord>("device", "device"))?.id ?? null;
}

/** Opens with the key that the server keeps. From now on the PIN is good for some hours again. */
export async function openByKey(
  store: Store,
  wrapped: string,
  rules: DeviceRules,
  now = Date.now(),
): Promise<OpenVault> {
  const record = await store.get<DeviceRecord>("device", "device");
  if (record === undefined) throw new Error("this browser keeps nothing");
  const key = await unseal(record.key, DATA_KEY, fromText(wrapped));
  const pin = await store.get<PinRecord>("device", "pin");
  if (pin !== undefined) {
    const until = now + rules.offline_hours * HOUR_MS;
    const renewed = { ...pin, until, seen: now, failures: 0, attempts: rules.pin_attempts };
    await store.put("device", "pin", renewed satisfies PinRecord);
  }
  return opened(store, record, key);
}

/** Whether a PIN could open it now. A PIN whose time is over is deleted. */
export async function opensByPin(store: Store, now = Date.now()): Promise<boolean> {
  const pin = await store.get<PinRecord>("device", "pin");
  if (pin === undefined) return false;
  if (now < pin.until && now > pin.seen - BACK_MS) return true;
  await store.remove("device", "pin");
  return false;
}

export async function openByPin(
  store: Store,
  typed: string,
  now = Date.now(),
): Promise<PinOutcome> {
  if (!(await opensByPin(store, now))) return { kind: "over" };
  const record = await store.get<DeviceRecord>("device", "device");
  const pin = await store.get<PinRecord>("device", "pin");
  if (record === undefined || pin === undefined) return { kind: "over" };
  // Counted before it is tried: a tab that is closed in between gains nothing.
  const failures = pin.failures + 1;
  if (failures > pin.attempts) return wiped(store);
  const seen = Math.max(pin.seen, now);
  await store.put("device", "pin", { ...pin, failures, seen } satisfies PinRecord);
  const inner = await unseal(record.key, "pin", pin.sealed);
  try {
    const key = await unseal(await pinKey(typed, pin.salt, pin.iterations), DATA_KEY, split(inner));
    await store.put("device", "pin", { ...pin, failures: 0, seen } satisfies PinRecord);
    return { kind: "open", vault: await opened(store, record, key) };
  } catch {
    if (failures >= pin.attempts) return wiped(store);
    return { kind: "wrong", left: pin.attempts - failures };
  }
}

async function wiped(store: Store): Promise<PinOutcome> {
  await store.destroy();
  return { kind: "wiped" };
}

async function opened(store: Store, record: DeviceRecord, key: Bytes): Promise<OpenVault> {
  const keys: Keys = await keysOf(key);
  const place = async (table: SealedTable, name: string) => `${table} ${await nameOf(keys, name)}`;

  async function putBytes(table: SealedTable, name: string, content: Bytes): Promise<void> {
    const at = await place(table, name);
    await store.put(table, at, await seal(keys.content, at, content));
  }
  async function getBytes(table: SealedTable, name: string): Promise<Bytes | undefined> {
    const at = await place(table, name);
    const sealed = await store.get<Sealed>(table, at);
    return sealed && unseal(keys.content, at, sealed);
  }

  return {
    device: record.id,
    putBytes,
    getBytes,
    put: (table, name, content) =>
      putBytes(table, name, new TextEncoder().encode(JSON.stringify(content))),
    async get<T>(table: SealedTable, name: string) {
      const bytes = await getBytes(table, name);
      return bytes && (JSON.parse(new TextDecoder().decode(bytes)) as T);
    },
    remove: async (table, name) => store.remove(table, await place(table, name)),
    async setPin(typed, rules, now = Date.now()) {
      if (!/^\d+$/.test(typed) || typed.length < LEAST_PIN) throw new Error("a PIN is digits");
      const salt = crypto.getRandomValues(new Uint8Array(16));
      const byPin = await pinKey(typed, salt, PIN_ITERATIONS);
      const inner = joined(await seal(byPin, DATA_KEY, key));
      const pin: PinRecord = {
        salt,
        iterations: PIN_ITERATIONS,
        sealed: await seal(record.key, "pin", inner),
        until: now + rules.offline_hours * HOUR_MS,
        seen: now,
        failures: 0,
        attempts: rules.pin_attempts,
      };
      await store.put("device", "pin", pin);
    },
  };
}

function joined({ iv, bytes }: Sealed): Bytes {
  const all = new Uint8Array(iv.length + bytes.byteLength);
  all.set(iv);
  all.set(new Uint8Array(bytes), iv.length);
  return all;
}

const split = (all: Bytes): Sealed => ({ iv: all.slice(0, 12), bytes: all.slice(12).buffer });
