import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { AT_ONCE_BYTES, workerOf } from "../../pwa/build_worker";

const source = readFileSync(resolve(import.meta.dirname, "../../pwa/service_worker.js"), "utf-8");
const ORIGIN = "https://reading.example";

function build(files: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(join(tmpdir(), "page-"));
  mkdirSync(join(folder, "assets"));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  return workerOf(folder, source);
}

const PAGE = { "index.html": "page", "assets/app-1.js": "app", "sw.js": "old", "licences.md": "x" };

/** Runs a worker with caches of its own; gives what it answers, and what it asks of the line. */
function run(
  worker: string,
  caches: Map<string, Map<string, string>>,
  gone: readonly string[] = [],
) {
  const asked: string[] = [];
  const handlers = new Map<string, (event: object) => void>();
  const line = async (request: { url: string }) => {
    const path = new URL(request.url).pathname;
    asked.push(path);
    if (gone.includes(path)) return { ok: false, status: 404, clone: () => ({}) };
    return { ok: true, text: "from the line", clone: () => ({ text: "from the line" }) };
  };
  const open = async (name: string) => {
    const cache = caches.get(name) ?? new Map<string, string>();
    caches.set(name, cache);
    return {
      addAll: async (files: string[]) => {
        for (const file of files) cache.set(file, "kept");
      },
      match: async (path: string) => cache.get(path),
      put: async (path: string) => void cache.set(path, "kept"),
    };
  };
  let tookOver = false;
  const self = {
    addEventListener: (name: string, act: (event: object) => void) => handlers.set(name, act),
    location: { origin: ORIGIN },
    clients: { claim: async () => undefined },
    skipWaiting: () => {
      tookOver = true;
    },
  };
  const storage = {
    open,
    keys: async () => [...caches.keys()],
    delete: async (name: string) => caches.delete(name),
  };
  new Function("self", "caches", "fetch", worker)(self, storage, line);
  const fire = async (name: string, event: object = {}) => {
    let done: Promise<unknown> = Promise.resolve(undefined);
    const later = (promise: Promise<unknown>) => {
      done = promise;
    };
    handlers.get(name)?.({ ...event, waitUntil: later, respondWith: later });
    return done;
  };
  const get = (path: string, method = "GET", origin = ORIGIN) =>
    fire("fetch", { request: { url: `${origin}${path}`, method } });
  return { asked, fire, get, tookOver: () => tookOver };
}

describe("the service worker", () => {
  let caches: Map<string, Map<string, string>>;
  beforeEach(() => {
    caches = new Map();
  });

  test("is named by what the files contain", () => {
    expect(build(PAGE)).toBe(build(PAGE));
    const name = (text: string) => /BUILD = "(\w+)"/.exec(text)?.[1];
    expect(name(build({ ...PAGE, "assets/app-1.js": "other" }))).not.toBe(name(build(PAGE)));
  });

  test("keeps the page and its files, not licences, nor itself", async () => {
    const worker = run(build(PAGE), caches);
    await worker.fire("install");
    const [files] = [...caches.values()];
    expect([...files.keys()].sort()).toEqual(["/", "/assets/app-1.js"]);
    expect(await worker.get("/?refused")).toBe("kept");
    expect(worker.asked).toEqual([]);
  });

  test("touches no answer of the API, no other host and nothing that changes something", async () => {
    const worker = run(build(PAGE), caches);
    await worker.fire("install");
    for (const path of ["/api/v1/exams", "/dicom-web/studies", "/health/live", "/sw.js"]) {
      expect(await worker.get(path), path).toBeUndefined();
    }
    expect(await worker.get("/", "POST")).toBeUndefined();
    expect(await worker.get("/", "GET", "https://elsewhere.example")).toBeUndefined();
    expect(worker.asked).toEqual([]);
    expect(caches.size).toBe(1);
  });

  test("keeps large files when they are used", async () => {
    const large = "x".repeat(AT_ONCE_BYTES + 1);
    const worker = run(build({ ...PAGE, "assets/model-1.wasm": large }), caches);
    await worker.fire("install");
    const [files] = [...caches.values()];
    expect(files.has("/assets/model-1.wasm")).toBe(false);
    await worker.get("/assets/model-1.wasm");
    expect(await worker.get("/assets/model-1.wasm")).toBe("kept");
    expect(worker.asked).toEqual(["/assets/model-1.wasm"]);
  });

  test("that is older than the server goes on whole until the person takes the newer one", async () => {
    const large = "x".repeat(AT_ONCE_BYTES + 1);
    const older = { ...PAGE, "assets/upload-1.js": "part", "assets/model-1.wasm": large };
    const newer = { "index.html": "newer", "assets/app-2.js": "app", "assets/upload-2.js": "part" };
    // The server has the newer build: files of the older one are gone from it.
    const gone = ["/assets/app-1.js", "/assets/upload-1.js", "/assets/model-1.wasm"];
    const before = run(build(older), caches, gone);
    await before.fire("install");
    const after = run(build(newer), caches);
    await after.fire("install");
    for (const path of ["/", "/assets/app-1.js", "/assets/upload-1.js"]) {
      expect(await before.get(path), path).toBe("kept");
    }
    expect(before.asked).toEqual([]);
    // What it never had is missing, and the fault is not kept as if it were the file.
    expect(await before.get("/assets/model-1.wasm")).toMatchObject({ status: 404 });
    await after.fire("message", { data: "take over" });
    await after.fire("activate");
    expect([...caches.keys()]).toEqual([`mammolens-${/BUILD = "(\w+)"/.exec(build(newer))?.[1]}`]);
    expect(await after.get("/")).toBe("kept");
    expect(await after.get("/assets/upload-2.js")).toBe("kept");
    expect(await after.get("/assets/upload-1.js")).toBeUndefined();
  });

  test("forgets builds before it, and nothing else, once it is in charge", async () => {
    caches.set("mammolens-before", new Map());
    caches.set("another-page", new Map());
    const worker = run(build(PAGE), caches);
    await worker.fire("install");
    expect(caches.has("mammolens-before")).toBe(true);
    expect(worker.tookOver()).toBe(false);
    await worker.fire("message", { data: "take over" });
    expect(worker.tookOver()).toBe(true);
    await worker.fire("activate");
    expect(caches.has("mammolens-before")).toBe(false);
    expect(caches.has("another-page")).toBe(true);
  });
});
