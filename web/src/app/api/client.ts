/**
 * Requests to the API: JSON in and out, the CSRF token where something changes, problems as errors.
 *
 * When the session has ended, a request waits until the same person has signed in again (`Guard`),
 * and is sent once more. So nothing that a reader has answered is lost with a session.
 */

import { Problem, problemOf } from "./problem";

export const API = "/api/v1";

/** What the client asks of the session. */
export interface Guard {
  readonly csrf: string;
  /** Resolves when the same person is signed in again; rejects if that does not happen. */
  recover(): Promise<void>;
}

/** Answers that are kept to be read again while there is no line. */
export interface KeptAnswers {
  wants(url: string): boolean;
  keep(url: string, response: Response): Promise<void>;
  recall(url: string): Promise<Response | null>;
  /** An answer came over the line. */
  heard(): void;
}

export interface Options {
  readonly body?: unknown;
  readonly ifMatch?: string;
  /** The sender's own name of the request: sent again after a broken line, it counts once. */
  readonly idempotencyKey?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
  /** The request belongs to signing in: a 401 is its answer. */
  readonly signsIn?: boolean;
}

export type Method = "GET" | "POST" | "PUT" | "PATCH" | "DELETE" | "HEAD";

export interface Client {
  /** Gives the JSON of the answer. @throws Problem */
  call<T>(method: Method, path: string, options?: Options): Promise<T>;
  /** Gives the answer itself, whatever its status, after the session was recovered. */
  send(method: Method, path: string, options?: Options): Promise<Response>;
  /** `fetch` for the viewer: the same, with absolute paths. */
  readonly fetch: (url: string, init?: RequestInit) => Promise<Response>;
}

/** Refusals with status 401 that are not the end of a session. */
const WRONG_SECRET = ["sign_in", "code"];
const CONNECTING_TRIES = 2;

export function makeClient(
  guard: Guard,
  read: typeof fetch = (...all) => fetch(...all),
  kept: KeptAnswers | null = null,
): Client {
  async function attempt(url: string, init: RequestInit, changes: boolean): Promise<Response> {
    const headers = new Headers(init.headers);
    if (changes) headers.set("X-CSRF-Token", guard.csrf);
    try {
      return await read(url, { ...init, headers, credentials: "same-origin" });
    } catch (error) {
      if (init.signal?.aborted) throw error;
      throw new Problem(0, "unreachable", error instanceof Error ? error.message : `${error}`);
    }
  }

  /** Reads over the line, or what was kept while there is none. */
  async function look(url: string, init: RequestInit): Promise<Response> {
    const keeps = kept?.wants(url) ? kept : null;
    try {
      const response = await attempt(url, init, false);
      kept?.heard();
      // What cannot be kept, on a full disk perhaps, is missing later, not now.
      if (response.ok) keeps?.keep(url, response.clone()).catch(() => undefined);
      return response;
    } catch (error) {
      const again = error instanceof Problem ? await keeps?.recall(url).catch(() => null) : null;
      if (again) return again;
      throw error;
    }
  }

  async function through(url: string, init: RequestInit, signsIn: boolean): Promise<Response> {
    const changes = !["GET", "HEAD"].includes(init.method ?? "GET");
    for (let tries = 1; ; tries += 1) {
      const response = await (changes ? attempt(url, init, true) : look(url, init));
      if (signsIn || tries > CONNECTING_TRIES || !(await sessionEnded(response))) return response;
      await guard.recover();
    }
  }

  function send(method: Method, path: string, options: Options = {}): Promise<Response> {
    const headers = new Headers({ Accept: "application/json", ...options.headers });
    const init: RequestInit = { method, headers };
    if (options.signal !== undefined) init.signal = options.signal;
    if (options.ifMatch !== undefined) headers.set("If-Match", options.ifMatch);
    if (options.idempotencyKey !== undefined)
      headers.set("Idempotency-Key", options.idempotencyKey);
    if (options.body instanceof Blob) init.body = options.body;
    else if (options.body !== undefined) {
      headers.set("Content-Type", "application/json");
      init.body = JSON.stringify(options.body);
    }
    return through(`${API}${path}`, init, options.signsIn ?? false);
  }

  return {
    send,
    async call<T>(method: Method, path: string, options: Options = {}) {
      const response = await send(method, path, options);
      if (!response.ok) throw await problemOf(response);
      return (response.status === 204 ? undefined : await response.json()) as T;
    },
    fetch: (url, init = {}) => through(url, init, false),
  };
}

/** A 401 that is not about a wrong password or code, or a token of a session that was replaced. */
async function sessionEnded(response: Response): Promise<boolean> {
  if (response.status !== 401 && response.status !== 403) return false;
  const { code } = await problemOf(response.clone());
  if (response.status === 403) return code === "csrf" || code === "sign_in_unfinished";
  return !WRONG_SECRET.includes(code);
}

/** `{ a: 1, b: null }` → `?a=1`. */
export function queryOf(
  values: Readonly<Record<string, string | number | null | undefined>>,
): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(values)) {
    if (value !== null && value !== undefined && value !== "") query.set(name, String(value));
  }
  const text = query.toString();
  return text === "" ? "" : `?${text}`;
}
