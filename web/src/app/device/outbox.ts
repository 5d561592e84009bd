/**
 * The queue of what waits on this device. One tab sends at a time, one item after the other; what
 * the server does not take stays, with the reason, until the person decides about it.
 */

import { type QueueItem, type ReadingItem, verdictOf } from "./queue_items";
import type { OpenVault } from "./vault";

export interface Outbox {
  readonly items: readonly QueueItem[];
  readonly isSending: boolean;
  subscribe(listener: () => void): () => void;
  /** Reads what an earlier start has left. */
  load(): Promise<void>;
  /** Resolves when the item is on the disk; it takes the place of one with the same name. */
  add(item: QueueItem): Promise<void>;
  discard(id: string): Promise<void>;
  /** Tries again what waits; `id`: also this one, which the server did not take. */
  send(id?: string): Promise<void>;
  /** What waits about an exam, the newest last. */
  of(exam: number): readonly ReadingItem[];
  clear(): void;
  /** Hears of each item that the server has taken. */
  watchSent(watcher: (item: QueueItem) => void): () => void;
}

export interface OutboxOptions {
  vault(): OpenVault | null;
  /** Sends one item, keeping it after each step. */
  deliver(item: QueueItem, keep: (item: QueueItem) => Promise<void>): Promise<void>;
  /** Forgets what belongs to an item beside itself. */
  forget(item: QueueItem): Promise<void>;
  /** Another part of this page is sending it. */
  isElsewhere(item: QueueItem): boolean;
  /** Runs an act while no other tab does; resolves at once if one does. */
  alone?(act: () => Promise<void>): Promise<void>;
  /** Runs an act after those of other tabs. */
  after?(act: () => Promise<void>): Promise<void>;
}

const INDEX = "index of the queue";

export function makeOutbox(options: OutboxOptions): Outbox {
  const { alone = oneTab, after = afterOthers } = options;
  let items: readonly QueueItem[] = [];
  let isSending = false;
  let turn: Promise<unknown> = Promise.resolve();
  const listeners = new Set<() => void>();
  const watchers = new Set<(item: QueueItem) => void>();

  const set = (to: readonly QueueItem[]) => {
    items = to;
    for (const listener of listeners) listener();
  };
  const inTurn = <T>(act: () => Promise<T>): Promise<T> => {
    const mine = turn.then(act, act);
    turn = mine.catch(() => undefined);
    return mine;
  };
  const opened = (): OpenVault => {
    const vault = options.vault();
    if (vault === null) throw new Error("this device keeps nothing now");
    return vault;
  };
  const readIndex = async () => (await opened().get<readonly string[]>("queue", INDEX)) ?? [];
  /** Another tab may have changed it: what it has added must not be forgotten. */
  const changeIndex = (change: (ids: readonly string[]) => readonly string[]) =>
    after(async () => opened().put("queue", INDEX, change(await readIndex())));

  /** First on the disk, then on the screen: what is shown as kept is kept. */
  const keep = (item: QueueItem) =>
    inTurn(async () => {
      // Discarded meanwhile: it must not come back.
      if (!items.some(({ id }) => id === item.id)) return;
      await opened().put("queue", item.id, item);
      set(items.map((one) => (one.id === item.id ? item : one)));
    });

  async function remove(item: QueueItem): Promise<void> {
    await inTurn(async () => {
      const rest = items.filter(({ id }) => id !== item.id);
      await changeIndex((ids) => ids.filter((id) => id !== item.id));
      await opened().remove("queue", item.id);
      set(rest);
    });
    await options.forget(item);
  }

  async function read(): Promise<readonly QueueItem[]> {
    const vault = opened();
    const ids = await readIndex();
    const found = await Promise.all(ids.map((id) => vault.get<QueueItem>("queue", id)));
    return found.filter((item) => item !== undefined);
  }

  async function deliver(item: QueueItem): Promise<void> {
    try {
      await options.deliver(item, keep);
      const last = items.find(({ id }) => id === item.id) ?? item;
      await remove(last);
      for (const watcher of watchers) watcher(last);
    } catch (error) {
      const latest = items.find(({ id }) => id === item.id);
      if (latest !== undefined) await keep({ ...latest, ...verdictOf(error) });
      throw error;
    }
  }

  async function sendAll(): Promise<void> {
    // Another tab may have sent some of it.
    await inTurn(async () => set(await read()));
    for (const { id } of items) {
      const item = items.find((one) => one.id === id);
      if (item === undefined || item.state !== "waiting" || options.isElsewhere(item)) continue;
      try {
        await deliver(item);
      } catch (error) {
        // Without a line the rest need not be tried.
        if (verdictOf(error).state === "waiting") return;
      }
    }
  }

  return {
    get items() {
      return items;
    },
    get isSending() {
      return isSending;
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    load: () => inTurn(async () => set(await read())),
    add: (item) =>
      inTurn(async () => {
        await opened().put("queue", item.id, item);
        const all = [...items.filter(({ id }) => id !== item.id), item];
        await changeIndex((ids) => [...ids.filter((id) => id !== item.id), item.id]);
        set(all);
      }),
    async discard(id) {
      const item = items.find((one) => one.id === id);
      if (item !== undefined) await remove(item);
    },
    async send(id) {
      const again = items.find((one) => one.id === id);
      if (again !== undefined) await keep({ ...again, state: "waiting", code: null });
      if (isSending || options.vault() === null || items.length === 0) return;
      isSending = true;
      try {
        await alone(sendAll);
      } finally {
        isSending = false;
        set([...items]);
      }
    },
    of: (exam) =>
      items.filter((item): item is ReadingItem => item.kind === "reading" && item.exam === exam),
    clear: () => set([]),
    watchSent(watcher) {
      watchers.add(watcher);
      return () => watchers.delete(watcher);
    },
  };
}

/** One tab of this browser at a time. */
async function oneTab(act: () => Promise<void>): Promise<void> {
  await navigator.locks.request("mammolens-outbox", { ifAvailable: true }, async (lock) => {
    if (lock !== null) await act();
  });
}

async function afterOthers(act: () => Promise<void>): Promise<void> {
  await navigator.locks.request("mammolens-queue", act);
}
