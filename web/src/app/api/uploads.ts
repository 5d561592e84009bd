/**
 * Uploads by the tus 1.0 protocol (creation, PATCH at an offset, HEAD to resume, termination).
 * A broken line costs the piece that was under way: what the server has is asked for, and the rest
 * is sent.
 */

import { API, type Client } from "./client";
import { makePace, type Pace } from "./pace";
import { asProblem, Problem, problemOf } from "./problem";
import type { UploadedMember } from "./types";

const VERSION = { "Tus-Resumable": "1.0.0" };
/** Pauses before a piece is tried again, in milliseconds; after the last one it is given up. */
const PAUSES_MS = [500, 1500, 4000, 10000, 20000];

export type UploadProgress = (sentBytes: number) => void;

/** Further metadata of an upload. */
export type UploadFacts = Readonly<Record<string, string>>;

export interface Upload {
  readonly url: string;
}

/** Where the bytes of a file come from: read in parts, never as a whole. */
export interface Source {
  readonly bytes: number;
  part(from: number, to: number): Blob | Promise<Blob>;
}

export interface PieceSender {
  readonly pace: Pace;
  readonly pauses: readonly number[];
  offsetOf(upload: Upload, signal?: AbortSignal): Promise<number>;
  /** Sends one piece and gives the new offset. */
  sendPiece(upload: Upload, body: Blob, offset: number, signal?: AbortSignal): Promise<number>;
}

/**
 * Sends what the server does not have yet. A cut costs a pause and a question how far the server has
 * got; as long as each attempt brings something, it goes on.
 */
export async function sendRest(
  sender: PieceSender,
  upload: Upload,
  source: Source,
  begin: number,
  progress: (sent: number) => void | Promise<void>,
  signal?: AbortSignal,
): Promise<void> {
  const { pace, pauses } = sender;
  let offset = begin;
  let failures = 0;
  while (offset < source.bytes) {
    const to = Math.min(offset + pace.bytes, source.bytes);
    const body = await source.part(offset, to);
    const started = performance.now();
    try {
      const reached = await within(pace.patienceMs, signal, (limited) =>
        sender.sendPiece(upload, body, offset, limited),
      );
      if (!(reached > offset)) throw new Problem(502, "no_progress", "the offset does not grow");
      pace.sent(reached - offset, performance.now() - started);
      offset = reached;
      failures = 0;
    } catch (error) {
      const problem = asProblem(error);
      const isPassing = problem.isPassing || problem.status === 409;
      if (signal?.aborted || !isPassing || failures >= pauses.length) throw problem;
      pace.cut();
      await pause(pauses[failures], signal);
      const known = await within(pace.patienceMs, signal, (limited) =>
        sender.offsetOf(upload, limited),
      ).catch(() => offset);
      failures = known > offset ? 0 : failures + 1;
      offset = known;
    }
    await progress(offset);
  }
}

export function uploadsApi(
  client: Client,
  pauses: readonly number[] = PAUSES_MS,
  pace: Pace = makePace(),
) {
  /**
   * @param once the sender's own name of the upload: begun twice, it is one
   * @param facts further metadata, such as the patient's consent, or that it is a photograph of a film
   */
  async function begin(
    file: { readonly bytes: number; readonly type?: string },
    name: string,
    site: number | null,
    once?: string,
    facts: UploadFacts = {},
  ): Promise<Upload> {
    const metadata: Record<string, string> = {
      ...facts,
      filename: name,
      filetype: file.type ?? "",
    };
    if (site !== null) metadata.site = String(site);
    const response = await client.send("POST", "/uploads", {
      ...(once !== undefined && { idempotencyKey: once }),
      headers: {
        ...VERSION,
        "Upload-Length": String(file.bytes),
        "Upload-Metadata": metadataOf(metadata),
      },
    });
    if (!response.ok) throw await problemOf(response);
    const url = response.headers.get("Location");
    if (url === null) throw new Problem(502, "no_location", "the answer names no address");
    return { url: new URL(url, location.origin).pathname.replace(API, "") };
  }

  async function offsetOf(upload: Upload, signal?: AbortSignal): Promise<number> {
    const response = await client.send("HEAD", upload.url, {
      headers: VERSION,
      ...(signal && { signal }),
    });
    if (!response.ok) throw await problemOf(response);
    return Number(response.headers.get("Upload-Offset"));
  }

  async function sendPiece(
    upload: Upload,
    body: Blob,
    offset: number,
    signal?: AbortSignal,
  ): Promise<number> {
    const response = await client.send("PATCH", upload.url, {
      headers: {
        ...VERSION,
        "Upload-Offset": String(offset),
        "Content-Type": "application/offset+octet-stream",
      },
      body,
      ...(signal && { signal }),
    });
    if (!response.ok) throw await problemOf(response);
    return Number(response.headers.get("Upload-Offset"));
  }

  const result = (upload: Upload): Promise<UploadResult> =>
    client.call<UploadResult>("GET", `${upload.url}/result`);

  const pieces: PieceSender = { pace, pauses, offsetOf, sendPiece };
  return {
    ...pieces,
    begin,
    /** Sends a whole file. */
    async send(
      file: Blob,
      name: string,
      site: number | null,
      progress: UploadProgress,
      signal: AbortSignal,
      facts?: UploadFacts,
    ): Promise<Upload> {
      const about = { bytes: file.size, type: file.type };
      const upload = await begin(about, name, site, undefined, facts);
      const source = { bytes: file.size, part: (from: number, to: number) => file.slice(from, to) };
      await sendRest(pieces, upload, source, 0, progress, signal);
      return upload;
    },
    cancel: (upload: Upload) => client.send("DELETE", upload.url, { headers: VERSION }),
    result,
    /** What became of the person's last uploads, the newest first. */
    async latest(): Promise<readonly KnownUpload[]> {
      const since = Date.now() - LATEST_MS;
      const listed = await client.call<readonly KnownUpload[]>("GET", "/uploads");
      const recent = listed.filter(({ created_at }) => new Date(created_at).getTime() > since);
      return Promise.all(
        recent
          .slice(0, MOST_LATEST)
          .map(async (one) => ({ ...one, ...(await result({ url: `/uploads/${one.id}` })) })),
      );
    },
  };
}

const LATEST_MS = 7 * 86_400_000;
const MOST_LATEST = 24;

/** An upload as the server lists it, with what became of it. */
export interface KnownUpload extends UploadResult {
  readonly id: string;
  readonly name: string;
  readonly created_at: string;
}

export interface UploadResult {
  /** Pieces are missing; every byte is there; what became of each file is known. */
  readonly state: "coming" | "whole" | "done";
  /** Why nothing could be received. */
  readonly problem: string | null;
  readonly members: readonly UploadedMember[];
}

/** `Upload-Metadata`: names and values in base64 of UTF-8, with commas between. */
export function metadataOf(facts: Readonly<Record<string, string>>): string {
  return Object.entries(facts)
    .filter(([, value]) => value !== "")
    .map(([name, value]) => `${name} ${toBase64(value)}`)
    .join(",");
}

function toBase64(text: string): string {
  const bytes = new TextEncoder().encode(text);
  return btoa(String.fromCharCode(...bytes));
}

function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((done, fail) => {
    const stop = () => {
      clearTimeout(timer);
      fail(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      done();
    }, ms);
    signal?.addEventListener("abort", stop, { once: true });
  });
}

/** Gives an act up after some time: a dead line says nothing. */
async function within<T>(
  ms: number,
  signal: AbortSignal | undefined,
  act: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const limit = new AbortController();
  const timer = setTimeout(() => limit.abort(new Error("the line is dead")), ms);
  try {
    return await act(signal ? AbortSignal.any([signal, limit.signal]) : limit.signal);
  } finally {
    clearTimeout(timer);
  }
}

export type UploadsApi = ReturnType<typeof uploadsApi>;
