import { describe, expect, test } from "vitest";
import type { DeviceRules } from "../../src/app/api/devices";
import { makeKeeping } from "../../src/app/device/kept_answers";
import { memoryStore, type Store } from "../../src/app/device/store";
import {
  makeVault,
  type OpenVault,
  openByKey,
  openByPin,
  opensByPin,
} from "../../src/app/device/vault";

const RULES: DeviceRules = { offline_hours: 12, pin_attempts: 3 };
const PIN = "271828";
const HOUR = 3_600_000;

async function made(): Promise<{ store: Store; vault: OpenVault; wrapped: string }> {
  const store = memoryStore();
  let wrapped = "";
  const vault = await makeVault(store, async (key) => {
    wrapped = key;
    return "device";
  });
  return { store, vault, wrapped };
}

async function everything(store: Store): Promise<string> {
  const found: string[] = [];
  for (const table of ["device", "answers", "queue", "pieces"] as const) {
    for (const name of await store.names(table)) {
      const value = await store.get<unknown>(table, name);
      found.push(name, readable(value));
    }
  }
  return found.join(" ");
}

function readable(value: unknown): string {
  if (value instanceof ArrayBuffer) return new TextDecoder("latin1").decode(value);
  if (value instanceof Uint8Array) return new TextDecoder("latin1").decode(value);
  if (typeof value !== "object" || value === null) return String(value);
  return Object.values(value).map(readable).join(" ");
}

describe("what is kept", () => {
  test("cannot be read without the key, neither contents nor names", async () => {
    const { store, vault } = await made();
    await vault.put("answers", "/api/v1/exams/77?q=Doe", { name: "Doe^Jane" });
    const all = await everything(store);
    expect(all).not.toContain("Doe");
    expect(all).not.toContain("exams");
    expect(await vault.get("answers", "/api/v1/exams/77?q=Doe")).toEqual({ name: "Doe^Jane" });
  });

  test("opens with the key that the server kept, and with no other", async () => {
    const { store, vault, wrapped } = await made();
    await vault.put("queue", "a", 1);
    const again = await openByKey(store, wrapped, RULES);
    expect(await again.get("queue", "a")).toBe(1);
    const other = await made();
    await expect(openByKey(store, other.wrapped, RULES)).rejects.toThrow();
  });

  test("cannot be moved to another name", async () => {
    const { store, vault } = await made();
    await vault.put("queue", "a", "mine");
    const [name] = await store.names("queue");
    const sealed = await store.get("queue", name);
    await vault.put("queue", "b", "other");
    const [, second] = await store.names("queue");
    await store.put("queue", second, sealed);
    await expect(vault.get("queue", "b")).rejects.toThrow();
  });
});

describe("the PIN", () => {
  test("opens without a line", async () => {
    const { store, vault } = await made();
    await vault.put("queue", "a", 1);
    await vault.setPin(PIN, RULES);
    const outcome = await openByPin(store, PIN);
    expect(outcome.kind === "open" && (await outcome.vault.get("queue", "a"))).toBe(1);
  });

  test("is none if it is short or has letters", async () => {
    const { vault } = await made();
    for (const pin of ["12345", "abcdef", ""]) {
      await expect(vault.setPin(pin, RULES)).rejects.toThrow();
    }
  });

  test("deletes everything after as many wrong ones as the server says", async () => {
    const { store, vault } = await made();
    await vault.put("queue", "a", 1);
    await vault.setPin(PIN, RULES);
    expect(await openByPin(store, "000000")).toEqual({ kind: "wrong", left: 2 });
    expect(await openByPin(store, "000001")).toEqual({ kind: "wrong", left: 1 });
    expect(await openByPin(store, "000002")).toEqual({ kind: "wiped" });
    expect(await everything(store)).toBe("");
    expect(await openByPin(store, PIN)).toEqual({ kind: "over" });
  });

  test("counts an attempt before it is tried, so that a closed tab gains nothing", async () => {
    const { store, vault } = await made();
    await vault.setPin(PIN, RULES);
    const broken: Store = {
      ...store,
      get: (table, name) =>
        name === "device" ? Promise.reject(new Error("closed")) : store.get(table, name),
    };
    await expect(openByPin(broken, "000000")).rejects.toThrow();
    const before = store.put;
    let counted = 0;
    const watching: Store = {
      ...store,
      put: (table, name, value) => {
        counted = (value as { failures: number }).failures;
        return counted === 1 ? Promise.reject(new Error("closed")) : before(table, name, value);
      },
    };
    await expect(openByPin(watching, PIN)).rejects.toThrow();
    expect(counted).toBe(1);
  });

  test("a right one begins the count again", async () => {
    const { store, vault } = await made();
    await vault.setPin(PIN, RULES);
    await openByPin(store, "000000");
    await openByPin(store, PIN);
    expect(await openByPin(store, "000000")).toEqual({ kind: "wrong", left: 2 });
  });

  test("opens for the hours after a sign-in, and is deleted afterwards", async () => {
    const { store, vault, wrapped } = await made();
    await vault.setPin(PIN, RULES);
    const now = Date.now();
    expect(await opensByPin(store, now + 11.9 * HOUR)).toBe(true);
    await openByKey(store, wrapped, RULES, now + 6 * HOUR);
    expect(await opensByPin(store, now + 17.9 * HOUR)).toBe(true);
    expect(await openByPin(store, PIN, now + 18.1 * HOUR)).toEqual({ kind: "over" });
    expect(await opensByPin(store, now + 7 * HOUR)).toBe(false);
  });

  test("a clock that was set back opens nothing", async () => {
    const { store, vault } = await made();
    await vault.setPin(PIN, RULES);
    const now = Date.now();
    await openByPin(store, PIN, now + 10 * HOUR);
    expect(await openByPin(store, PIN, now + 9 * HOUR)).toEqual({ kind: "over" });
  });

  test.each([-20, 20])(
    "a clock that is wrong by %i hours all the time changes nothing",
    async (by) => {
      const { store, vault, wrapped } = await made();
      const now = Date.now() + by * HOUR;
      await vault.setPin(PIN, RULES, now);
      expect((await openByPin(store, PIN, now + 11.9 * HOUR)).kind).toBe("open");
      expect(await opensByPin(store, now + 12.1 * HOUR)).toBe(false);
      expect((await openByKey(store, wrapped, RULES, now + 13 * HOUR)).device).toBe("device");
    },
  );

  test("a clock that is put right asks for a sign-in, and what is kept opens by it", async () => {
    for (const by of [-20, 20]) {
      const { store, vault, wrapped } = await made();
      await vault.put("queue", "a", "waits");
      await vault.setPin(PIN, RULES, Date.now() + by * HOUR);
      expect(await opensByPin(store, Date.now())).toBe(false);
      const again = await openByKey(store, wrapped, RULES);
      expect(await again.get("queue", "a")).toBe("waits");
    }
  });
});

describe("answers that are kept", () => {
  const url = "/api/v1/exams/7";

  test("are given again, with the time of the oldest one on the screen", async () => {
    const { vault } = await made();
    const keeping = makeKeeping(() => vault);
    await keeping.keep(url, Response.json({ id: 7 }));
    expect(keeping.keptAt).toBeNull();
    expect(await (await keeping.recall(url))?.json()).toEqual({ id: 7 });
    expect(keeping.keptAt).toBeGreaterThan(0);
    keeping.heard();
    expect(keeping.keptAt).toBeNull();
  });

  test("are those of the worklist and of exams, never full pixels, sessions or people", async () => {
    const keeping = makeKeeping(() => null);
    for (const path of ["exams?limit=50", "exams/7", "exams/7/viewer", "exams/7/previews/1.2.3"]) {
      expect(keeping.wants(`/api/v1/${path}`), path).toBe(true);
    }
    for (const path of ["session", "people", "devices/x/key", "audit", "sign-in"]) {
      expect(keeping.wants(`/api/v1/${path}`), path).toBe(false);
    }
    expect(keeping.wants("/dicom-web/studies/1/series/2/instances/3/frames/1")).toBe(false);
  });

  test("are none while the device is closed", async () => {
    const { store, vault } = await made();
    let open: OpenVault | null = null;
    const keeping = makeKeeping(() => open);
    await keeping.keep(url, Response.json({}));
    expect(await store.names("answers")).toEqual([]);
    open = vault;
    expect(await keeping.recall(url)).toBeNull();
  });
});
