/**
 * What this browser keeps of the person who is signed in: when it opens and closes, and when what
 * waits is sent. It begins when the person asks for it, and each person has a store of their own.
 */

import type { DeviceRules, DevicesApi } from "../api/devices";
import { asProblem } from "../api/problem";
import type { Session } from "../api/types";
import type { Outbox } from "./outbox";
import { openStore, type Store } from "./store";
import {
  deviceOf,
  makeVault,
  type OpenVault,
  openByKey,
  openByPin,
  opensByPin,
  type PinOutcome,
} from "./vault";

/** `off`: nothing is kept here; `locked`: something is, and it is not open. */
export type DeviceState = "off" | "locked" | "open" | "wiped";

export interface DeviceDesk {
  readonly state: DeviceState;
  readonly vault: OpenVault | null;
  readonly hasPin: boolean;
  subscribe(listener: () => void): () => void;
  /** Whether a PIN could open what the last person has kept here. */
  canOpenByPin(): Promise<boolean>;
  /** Opens by the PIN; gives the session that was kept, or what became of it. */
  tryPin(pin: string): Promise<Session | Exclude<PinOutcome, { kind: "open" }>>;
  /** Somebody is signed in over the line: opens what they have kept here. */
  signedIn(session: Session): Promise<void>;
  /** Asks whether the device has to be wiped, then sends what waits. */
  lineIsBack(): Promise<void>;
  /** Begins to keep data here. */
  begin(session: Session, pin: string): Promise<void>;
  setPin(pin: string): Promise<void>;
  /** Deletes what is kept here; the server deletes the key too, if it can be reached. */
  wipe(): Promise<void>;
  /** The person signs out: from now on only a sign-in opens it. */
  close(): Promise<void>;
}

export interface DeskOptions {
  readonly api: DevicesApi;
  outbox(): Outbox;
  readonly open?: (name: string) => Promise<Store>;
  /** Remembers whose store was used last; the browser's `localStorage`. */
  readonly memory?: Pick<Storage, "getItem" | "setItem" | "removeItem">;
  readonly now?: () => number;
}

const LAST = "mammolens-device";
const SESSION = "session";

export function makeDeviceDesk(options: DeskOptions): DeviceDesk {
  const { api, open = openStore, memory = localStorage, now = Date.now } = options;
  let state: DeviceState = "off";
  let store: Store | null = null;
  let vault: OpenVault | null = null;
  let person: number | null = null;
  let rules: DeviceRules | null = null;
  let hasPin = false;
  const listeners = new Set<() => void>();

  const become = (to: DeviceState) => {
    state = to;
    for (const listener of listeners) listener();
  };
  const storeOf = (id: number) => open(`mammolens-${id}`);

  async function opened(to: OpenVault): Promise<void> {
    vault = to;
    hasPin = store !== null && (await opensByPin(store, now()));
    await options.outbox().load();
    become("open");
  }

  async function forget(to: DeviceState): Promise<void> {
    await store?.destroy();
    memory.removeItem(LAST);
    store = null;
    vault = null;
    hasPin = false;
    options.outbox().clear();
    become(to);
  }

  /** Opens with the key of the server, or deletes everything if the server says so. */
  async function askKey(id: string): Promise<void> {
    try {
      const { wrapped_key, ...given } = await api.key(id);
      rules = given;
      if (store !== null) await opened(await openByKey(store, wrapped_key, given, now()));
    } catch (error) {
      if (asProblem(error).code === "wiped") await forget("wiped");
      else if (vault === null) become("locked");
    }
  }

  return {
    get state() {
      return state;
    },
    get vault() {
      return vault;
    },
    get hasPin() {
      return hasPin;
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    async canOpenByPin() {
      const last = Number(memory.getItem(LAST));
      if (!(last > 0)) return false;
      store ??= await storeOf(last);
      person = last;
      return opensByPin(store, now());
    },
    async tryPin(pin) {
      if (store === null) return { kind: "over" };
      const outcome = await openByPin(store, pin, now());
      if (outcome.kind === "wiped") {
        store = null;
        await forget("wiped");
      }
      if (outcome.kind !== "open") return outcome;
      const session = await outcome.vault.get<Session>("answers", SESSION);
      if (session === undefined) return { kind: "over" };
      await opened(outcome.vault);
      return session;
    },
    async signedIn(session) {
      const { id } = session.person;
      if (vault !== null && person === id) {
        await vault.put("answers", SESSION, session);
        return;
      }
      vault = null;
      person = id;
      store = await storeOf(id);
      const device = await deviceOf(store);
      if (device === null) {
        become("off");
        return;
      }
      await opensByPin(store, now());
      await askKey(device);
      const unlocked = vault as OpenVault | null;
      if (unlocked === null) return;
      memory.setItem(LAST, String(id));
      await unlocked.put("answers", SESSION, session);
      await options.outbox().send();
    },
    async lineIsBack() {
      if (vault === null) return;
      const mine = vault.device;
      // The key is asked for only where there is something to hear: each time is audited.
      const listed = await api.list();
      if (!listed.some(({ id }) => id === mine)) await askKey(mine);
      if (vault !== null) await options.outbox().send();
    },
    async begin(session, pin) {
      store ??= await storeOf(session.person.id);
      person = session.person.id;
      const made = await makeVault(store, async (wrapped) => {
        const { device, ...given } = await api.add(wrapped);
        rules = given;
        return device.id;
      });
      if (rules !== null) await made.setPin(pin, rules);
      await made.put("answers", SESSION, session);
      memory.setItem(LAST, String(person));
      // Else a browser that is short of space deletes what waits to be sent.
      await navigator.storage?.persist?.().catch(() => false);
      await opened(made);
    },
    async setPin(pin) {
      if (vault === null || rules === null) return;
      await vault.setPin(pin, rules);
      hasPin = true;
      become(state);
    },
    async wipe() {
      const device = vault?.device ?? (store && (await deviceOf(store)));
      await forget("off");
      if (device) await api.wipe(device).catch(() => undefined);
    },
    async close() {
      await store?.remove("device", "pin");
      vault = null;
      options.outbox().clear();
      become("locked");
    },
  };
}
