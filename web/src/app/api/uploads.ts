/**
 * Uploads by the tus 1.0 protocol (creation, PATCH at an offset, HEAD to resume, termination).
 * A broken line costs the piece that was under way: what the server has is asked for, and the rest
 * is sent.
 */

import { API, type Client } from "./client";
import { asProblem, Problem, problemOf } from "./problem";
import type { UploadedMember } from "./types";

export const PIECE_BYTES = 4 << 20;
const VERSION = { "Tus-Resumable": "1.0.0" };
/** Pauses before a piece is tried again, in milliseconds; after the last one it is given up. */
const PAUSES_MS = [500, 1500, 4000, 10000, 20000];

export type UploadProgress = (sentBytes: number) => void;

/** Further metadata of an upload. */
export type UploadFacts = Readonly<Record<string, string>>;

export interface Upload {
  readonly url: string;
}

export function uploadsApi(
  client: Client,
  pauses: readonly number[] = PAUSES_MS,
  pieceBytes = PIECE_BYTES,
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

  /** Sends one piece and gives the new offset. */
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

  return {
    begin,
    offsetOf,
    sendPiece,
    /** Sends a whole file, from where the server has it. */
    async send(
      file: File,
      name: string,
      site: number | null,
      progress: UploadProgress,
      signal: AbortSignal,
      more?: UploadFacts,
    ): Promise<Upload> {
      const upload = await begin(
        { bytes: file.size, type: file.type },
        name,
        site,
        undefined,
        more,
      );
      let offset = 0;
      let failures = 0;
      while (offset < file.size) {
        try {
          const reached = await sendPiece(
            upload,
            file.slice(offset, offset + pieceBytes),
            offset,
            signal,
          );
          if (!(reached > offset))
            throw new Problem(502, "no_progress", "the offset does not grow");
          offset = reached;
          failures = 0;
          progress(offset);
        } catch (error) {
          const problem = asProblem(error);
          const isPassing = problem.isPassing || problem.status === 409;
          if (signal.aborted || !isPassing || failures >= pauses.length) throw problem;
          await pause(pauses[failures], signal);
          failures += 1;
          offset = await offsetOf(upload, signal).catch(() => offset);
          progress(offset);
        }
      }
      return upload;
    },
    cancel: (upload: Upload) => client.send("DELETE", upload.url, { headers: VERSION }),
    result: async (upload: Upload): Promise<UploadResult> =>
      client.call<UploadResult>("GET", `${upload.url}/result`),
  };
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

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((done, fail) => {
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      fail(signal.reason);
    });
  });
}

export type UploadsApi = ReturnType<typeof uploadsApi>;
