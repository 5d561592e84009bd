/** Where a device keeps its data: tables of records by name, in IndexedDB. */

export const TABLES = ["device", "answers", "queue", "pieces"] as const;
export type Table = (typeof TABLES)[number];

export interface Store {
  get<T>(table: Table, name: string): Promise<T | undefined>;
  put(table: Table, name: string, value: unknown): Promise<void>;
  remove(table: Table, name: string): Promise<void>;
  names(table: Table): Promise<readonly string[]>;
  /** Deletes everything, for good. */
  destroy(): Promise<void>;
}

const EDITION = 1;

export async function openStore(name: string): Promise<Store> {
  const asked = indexedDB.open(name, EDITION);
  asked.onupgradeneeded = () => {
    for (const table of TABLES) asked.result.createObjectStore(table);
  };
  const database = await done(asked);
  // Another tab deletes it: this one must not hold it.
  database.onversionchange = () => database.close();

  async function run<T>(
    table: Table,
    mode: IDBTransactionMode,
    act: (store: IDBObjectStore) => IDBRequest<T>,
  ): Promise<T> {
    // What a transaction reports as complete is on the disk, also after the phone has died.
    const transaction = database.transaction(table, mode, { durability: "strict" });
    const request = act(transaction.objectStore(table));
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    transaction.oncomplete = () => resolve(request.result);
    transaction.onabort = () => reject(transaction.error ?? new Error("the storage is full"));
    return promise;
  }

  return {
    get: (table, key) => run(table, "readonly", (store) => store.get(key)),
    put: async (table, key, value) => {
      await run(table, "readwrite", (store) => store.put(value, key));
    },
    remove: async (table, key) => {
      await run(table, "readwrite", (store) => store.delete(key));
    },
    names: async (table) =>
      (await run(table, "readonly", (store) => store.getAllKeys())).map(String),
    async destroy() {
      database.close();
      await done(indexedDB.deleteDatabase(name));
    },
  };
}

function done<T>(request: IDBRequest<T>): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  request.onsuccess = () => resolve(request.result);
  request.onerror = () => reject(request.error);
  return promise;
}

/** The same in memory, for tests and as a model of what is promised. */
export function memoryStore(): Store {
  const tables = new Map<Table, Map<string, unknown>>(TABLES.map((one) => [one, new Map()]));
  const of = (table: Table) => tables.get(table) as Map<string, unknown>;
  return {
    get: async <T>(table: Table, name: string) => structuredClone(of(table).get(name)) as T,
    put: async (table, name, value) => {
      of(table).set(name, structuredClone(value));
    },
    remove: async (table, name) => {
      of(table).delete(name);
    },
    names: async (table) => [...of(table).keys()],
    destroy: async () => {
      for (const table of tables.values()) table.clear();
    },
  };
}
