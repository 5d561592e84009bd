/**
 * Answers of the server that are kept, encrypted, to be read while there is no line: the worklist,
 * exams as they were looked at, previews. Full pixels are too large, and other pages need the line.
 */

import type { KeptAnswers } from "../api/client";
import type { OpenVault } from "./vault";

export interface LineWatch {
  /** When what is shown was kept, in milliseconds since 1970; null: it comes over the line. */
  readonly keptAt: number | null;
  subscribe(listener: () => void): () => void;
}

interface Head {
  readonly at: number;
  readonly type: string;
}

const WANTED: readonly RegExp[] = [
  /^\/api\/v1\/exams\?/,
  /^\/api\/v1\/exams\/\d+(\/(viewer|readings|previews\/[\w.]+))?$/,
  /^\/api\/v1\/(sites|model)$/,
  /^\/api\/v1\/(notices|opinions)(\?.*)?$/,
];
/** Four previews and three answers for some forty exams. */
export const MOST_KEPT = 300;
const INDEX = "index of answers";

export function makeKeeping(vault: () => OpenVault | null): KeptAnswers & LineWatch {
  let keptAt: number | null = null;
  const listeners = new Set<() => void>();
  let turn: Promise<unknown> = Promise.resolve();

  const become = (to: number | null) => {
    if (to === keptAt) return;
    keptAt = to;
    for (const listener of listeners) listener();
  };
  /** One change at a time: each reads and writes the list of what is kept. */
  const inTurn = (act: () => Promise<void>) => {
    const mine = turn.then(act, act);
    turn = mine.catch(() => undefined);
    return mine;
  };

  return {
    get keptAt() {
      return keptAt;
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    wants: (url) => WANTED.some((one) => one.test(url)),
    keep: (url, response) =>
      inTurn(async () => {
        const open = vault();
        if (open === null) return;
        const body = new Uint8Array(await response.arrayBuffer());
        const type = response.headers.get("Content-Type") ?? "";
        const head: Head = { at: Date.now(), type };
        await open.putBytes("answers", url, pack(head, body));
        const before = (await open.get<readonly string[]>("answers", INDEX)) ?? [];
        const names = [...before.filter((one) => one !== url), url];
        const old = names.slice(0, Math.max(0, names.length - MOST_KEPT));
        for (const one of old) await open.remove("answers", one);
        await open.put("answers", INDEX, names.slice(old.length));
      }),
    async recall(url) {
      const bytes = await vault()?.getBytes("answers", url);
      if (bytes === undefined) return null;
      const { head, body } = unpack(bytes);
      // The oldest of what is on the screen.
      become(Math.min(keptAt ?? head.at, head.at));
      return new Response(body, { headers: { "Content-Type": head.type } });
    },
    heard: () => become(null),
  };
}

export function pack(head: Head, body: Uint8Array): Uint8Array<ArrayBuffer> {
  const first = new TextEncoder().encode(JSON.stringify(head));
  const all = new Uint8Array(4 + first.length + body.length);
  new DataView(all.buffer).setUint32(0, first.length);
  all.set(first, 4);
  all.set(body, 4 + first.length);
  return all;
}

export function unpack(all: Uint8Array<ArrayBuffer>): {
  head: Head;
  body: Uint8Array<ArrayBuffer>;
} {
  const length = new DataView(all.buffer, all.byteOffset).getUint32(0);
  const head = JSON.parse(new TextDecoder().decode(all.subarray(4, 4 + length)));
  return { head, body: all.slice(4 + length) };
}
