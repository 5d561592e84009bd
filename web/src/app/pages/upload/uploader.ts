/**
 * Sends files one after the other and follows each until the server says what became of it. Lives
 * as long as the page, so that one may look at the worklist meanwhile.
 */

import { asProblem } from "../../api/problem";
import type { Upload, UploadsApi } from "../../api/uploads";
import { forSending } from "../../device/keep_files";
import type { NamedFile } from "../../logic/files";
import { isUnderWay, type UploadItem, withItem } from "../../logic/upload_list";

export interface Uploader {
  readonly items: readonly UploadItem[];
  subscribe(listener: () => void): () => void;
  add(files: readonly NamedFile[], site: number | null): void;
  /** Follows a file that the queue of this device has sent. */
  adopt(name: string, bytes: number, upload: Upload): void;
  cancel(id: number): void;
  retry(id: number): void;
  /** Takes what is finished off the list. */
  clear(): void;
}

/** Between two questions what became of a file, in milliseconds; how often it is asked. */
const ASK_MS = 1500;
const MOST_QUESTIONS = 400;

interface Job {
  readonly file: NamedFile;
  readonly site: number | null;
  abort: AbortController;
  upload: Upload | null;
}

export function makeUploader(api: UploadsApi): Uploader {
  let items: readonly UploadItem[] = [];
  let isRunning = false;
  let count = 0;
  const jobs = new Map<number, Job>();
  const listeners = new Set<() => void>();

  const set = (to: readonly UploadItem[]) => {
    items = to;
    for (const listener of listeners) listener();
  };
  const change = (id: number, changes: Partial<UploadItem>) => set(withItem(items, id, changes));

  async function run(): Promise<void> {
    if (isRunning) return;
    isRunning = true;
    for (;;) {
      const next = items.find(({ state }) => state === "waiting");
      if (next === undefined) break;
      await send(next.id);
    }
    isRunning = false;
  }

  async function send(id: number): Promise<void> {
    const job = jobs.get(id);
    if (job === undefined) return;
    const { file, site, abort } = job;
    change(id, { state: "preparing", problem: null });
    try {
      const chosen = file.file;
      const sends = await forSending(chosen);
      if (abort.signal.aborted) return;
      const from = sends === chosen ? null : chosen.size;
      change(id, { state: "sending", bytes: sends.size, from });
      const progress = (sent: number) => change(id, { sent });
      job.upload = await api.send(sends, file.name, site, progress, abort.signal, file.facts);
      change(id, { state: "taking-in", sent: sends.size });
      // What the server does with it may take longer than sending the next file.
      void follow(id, job.upload, abort.signal);
    } catch (error) {
      if (!abort.signal.aborted) fail(id, error);
    }
  }

  async function follow(id: number, upload: Upload, signal: AbortSignal): Promise<void> {
    try {
      for (let asked = 0; asked < MOST_QUESTIONS && !signal.aborted; asked += 1) {
        const found = await api.result(upload).catch((error: unknown) => {
          if (!asProblem(error).isPassing || asked === MOST_QUESTIONS - 1) throw error;
          return null;
        });
        if (found === null) {
          await new Promise((done) => setTimeout(done, ASK_MS));
          continue;
        }
        const { state, members, problem } = found;
        const isDone = state === "done";
        const became = problem === null ? "done" : "failed";
        change(id, isDone ? { members, problem, state: became } : { members });
        if (isDone) return;
        await new Promise((done) => setTimeout(done, ASK_MS));
      }
    } catch (error) {
      if (!signal.aborted) fail(id, error);
    }
  }

  const fail = (id: number, error: unknown) =>
    change(id, { state: "failed", problem: asProblem(error).message });

  window.addEventListener("beforeunload", (event) => {
    if (items.some(isUnderWay)) event.preventDefault();
  });
  return {
    get items() {
      return items;
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    add(files, site) {
      const added = files.map((file): UploadItem => {
        count += 1;
        jobs.set(count, { file, site, abort: new AbortController(), upload: null });
        return {
          id: count,
          name: file.name,
          bytes: file.file.size,
          from: null,
          sent: 0,
          state: "waiting",
          members: [],
          problem: null,
        };
      });
      set([...items, ...added]);
      void run();
    },
    adopt(name, bytes, upload) {
      count += 1;
      const id = count;
      const abort = new AbortController();
      jobs.set(id, { file: { name, file: new File([], name) }, site: null, abort, upload });
      const at = { id, name, bytes, from: null, sent: bytes, members: [], problem: null };
      set([...items, { ...at, state: "taking-in" }]);
      void follow(id, upload, abort.signal);
    },
    cancel(id) {
      const job = jobs.get(id);
      if (job === undefined) return;
      job.abort.abort();
      if (job.upload !== null) void api.cancel(job.upload).catch(() => undefined);
      change(id, { state: "cancelled" });
    },
    retry(id) {
      const job = jobs.get(id);
      if (job === undefined) return;
      job.abort = new AbortController();
      change(id, { state: "waiting", sent: 0, problem: null });
      void run();
    },
    clear() {
      set(items.filter(isUnderWay));
    },
  };
}
