/**
 * The service worker: the page itself without a line, and nothing else.
 *
 * It keeps the files of one build, and those of the model, which are named by their SHA-256. What
 * the server answers otherwise under /api and /dicom-web passes by it untouched, so that nothing
 * about a patient lies in its cache. `BUILD`, `FILES` and `LARGE_FILES`
 * are written in front of it by the build (`pwa/build_worker.ts`).
 */

/* global BUILD, FILES, LARGE_FILES */

const CACHE = `mammolens-${BUILD}`;
const KEPT = new Set([...FILES, ...LARGE_FILES]);
/** Files of models outlive a build: some 8 MB need not come again. */
const MODELS = "mammolens-model";
const MODEL_FILE = /^\/api\/v1\/model\/files\/[0-9a-f]{64}$/;
const MOST_MODEL_FILES = 4;

self.addEventListener("install", (event) => {
  // Whole or not at all: with one file missing this build is not installed.
  event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll(FILES)));
});

self.addEventListener("activate", (event) => {
  event.waitUntil(forgetOthers().then(() => self.clients.claim()));
});

self.addEventListener("message", (event) => {
  // Only when the person says so: a page of the old build would miss its files.
  if (event.data === "take over") self.skipWaiting();
});

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const path = keptPath(request, self.location.origin);
  if (path === null) return;
  event.respondWith(MODEL_FILE.test(path) ? modelFile(path, request) : fromCache(path, request));
});

async function forgetOthers() {
  const names = await caches.keys();
  const old = names.filter(
    (name) => name.startsWith("mammolens-") && ![CACHE, MODELS].includes(name),
  );
  await Promise.all(old.map((name) => caches.delete(name)));
}

/** The file of this build that a request asks for; null: the request is none of ours. */
function keptPath(request, origin) {
  const url = new URL(request.url);
  if (request.method !== "GET" || url.origin !== origin) return null;
  return KEPT.has(url.pathname) || MODEL_FILE.test(url.pathname) ? url.pathname : null;
}

async function modelFile(path, request) {
  const cache = await caches.open(MODELS);
  const kept = await cache.match(path);
  if (kept) return kept;
  const answer = await fetch(request);
  if (!answer.ok) return answer;
  const old = await cache.keys();
  for (const one of old.slice(0, Math.max(0, old.length + 1 - MOST_MODEL_FILES))) {
    await cache.delete(one);
  }
  await cache.put(path, answer.clone());
  return answer;
}

async function fromCache(path, request) {
  const cache = await caches.open(CACHE);
  const kept = await cache.match(path);
  if (kept) return kept;
  const answer = await fetch(request);
  // A large file, used for the first time; or one that the browser has thrown away.
  if (answer.ok && path !== "/") await cache.put(path, answer.clone());
  return answer;
}
