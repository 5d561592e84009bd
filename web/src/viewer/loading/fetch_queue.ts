/**
 * Requests in order of urgency: what is on the screen, then its neighbours, then the next exam.
 *
 * A browser opens six connections to a host. Fewer are used here, so that a picture that is asked
 * for now never waits behind six that may be wanted later.
 */

import { type ByteCache, makeByteCache } from "./byte_cache";

/** Smaller is more urgent. */
export const URGENCY = { preview: 0, shown: 1, neighbour: 2, nextExam: 3 } as const;
export type Urgency = (typeof URGENCY)[keyof typeof URGENCY];

export interface Answer {
  readonly body: ArrayBuffer;
  readonly contentType: string;
}

export interface FetchQueue {
  /** Gives an answer from the cache or the line. Rejects if the server refuses, or on `stop`. */
  request(url: string, accept: string, urgency: Urgency): Promise<Answer>;
  /** Ends everything that was asked for at this urgency or a lesser one and has no answer yet. */
  stop(from: Urgency): void;
  readonly cachedBytes: number;
}

/** How the queue reads from the line; `fetch` in a browser. */
export type Read = (url: string, accept: string, signal: AbortSignal) => Promise<Answer>;

interface Job {
  readonly url: string;
  readonly accept: string;
  urgency: Urgency;
  readonly abort: AbortController;
  readonly done: PromiseWithResolvers<Answer>;
  running: boolean;
}

const CONNECTIONS = 4;

export function makeFetchQueue(
  cacheBytes: number,
  read: Read = persistent(overHttp((url, init) => fetch(url, init))),
): FetchQueue {
  const cache: ByteCache<Answer> = makeByteCache(cacheBytes);
  const jobs = new Map<string, Job>();

  function next(): void {
    const waiting = [...jobs.values()].filter((job) => !job.running);
    if (jobs.size - waiting.length >= CONNECTIONS || waiting.length === 0) return;
    const job = waiting.reduce((best, other) => (other.urgency < best.urgency ? other : best));
    job.running = true;
    read(job.url, job.accept, job.abort.signal)
      .then((answer) => {
        cache.set(job.url, answer, answer.body.byteLength);
        job.done.resolve(answer);
      })
      .catch((error: unknown) => job.done.reject(error))
      .finally(() => {
        if (jobs.get(job.url) === job) jobs.delete(job.url);
        next();
      });
    next();
  }

  return {
    request(url, accept, urgency) {
      const kept = cache.get(url);
      if (kept !== undefined) return Promise.resolve(kept);
      const known = jobs.get(url);
      if (known !== undefined) {
        known.urgency = Math.min(known.urgency, urgency) as Urgency;
        return known.done.promise;
      }
      const done = Promise.withResolvers<Answer>();
      const abort = new AbortController();
      jobs.set(url, { url, accept, urgency, abort, done, running: false });
      // Later in this turn: what is asked for together starts in the order of its urgency.
      queueMicrotask(next);
      return done.promise;
    },
    stop(from) {
      for (const job of [...jobs.values()].filter((one) => one.urgency >= from)) {
        jobs.delete(job.url);
        job.abort.abort();
        job.done.reject(new DOMException("No longer needed", "AbortError"));
      }
      next();
    },
    get cachedBytes() {
      return cache.bytes;
    },
  };
}

export function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === "AbortError";
}

export type Fetch = (url: string, init?: RequestInit) => Promise<Response>;

export function overHttp(fetching: Fetch): Read {
  return async (url, accept, signal) => {
    const response = await fetching(url, { headers: { Accept: accept }, signal });
    if (!response.ok) throw new Refused(response.status);
    return {
      body: await response.arrayBuffer(),
      contentType: response.headers.get("Content-Type") ?? "",
    };
  };
}

/** An answer other than success. */
export class Refused extends Error {
  constructor(readonly status: number) {
    super(`the server answers ${status}`);
  }
}

/** Pauses before a request is tried again, in milliseconds: lines break off, servers restart. */
const PAUSES_MS = [500, 1500, 4000];

/**
 * Tries again where that can help: after a broken line, and after an answer of the 500s. A refusal
 * of the 400s is final.
 */
export function persistent(read: Read, pauses: readonly number[] = PAUSES_MS): Read {
  return async (url, accept, signal) => {
    for (const pause of pauses) {
      try {
        return await read(url, accept, signal);
      } catch (error) {
        const final = error instanceof Refused && error.status < 500;
        if (final || signal.aborted) throw error;
        await new Promise((done) => setTimeout(done, pause));
        signal.throwIfAborted();
      }
    }
    return read(url, accept, signal);
  };
}
