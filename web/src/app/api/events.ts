/**
 * What the server reports while it happens (server-sent events). The browser reconnects by itself
 * and says which event it saw last. A page in the background listens to nothing: browsers open six
 * connections to a host, and the viewer of another tab needs them.
 */

import { API } from "./client";

export const EVENT_NAMES = [
  "exam.received",
  "exam.analysed",
  "exam.changed",
  "exam.revised",
  "exam.removed",
  "reading.changed",
  "upload.progress",
  "reload",
] as const;
export type EventName = (typeof EVENT_NAMES)[number];

export interface ServerEvent {
  readonly name: EventName | "connected";
  readonly exam: number | null;
  readonly data: Readonly<Record<string, unknown>>;
}

export type LineState = "live" | "connecting";

export interface Events {
  listen(listener: (event: ServerEvent) => void): () => void;
  watchLine(watcher: (state: LineState) => void): () => void;
  /** Asks the server for nothing until the given act is called. */
  hold(): () => void;
  close(): void;
}

/** After this time a closed line is opened again. */
const REOPEN_MS = 5000;

export function openEvents(): Events {
  const listeners = new Set<(event: ServerEvent) => void>();
  const watchers = new Set<(state: LineState) => void>();
  let source: EventSource | null = null;
  let timer = 0;
  let state: LineState = "connecting";
  let holds = 0;

  const tell = (event: ServerEvent) => {
    for (const listener of listeners) listener(event);
  };
  const set = (to: LineState) => {
    state = to;
    for (const watcher of watchers) watcher(to);
  };

  function open(): void {
    clearTimeout(timer);
    source?.close();
    source = new EventSource(`${API}/events`);
    source.onopen = () => {
      set("live");
      // What happened while the line was down may be missing: listeners read again.
      tell({ name: "connected", exam: null, data: {} });
    };
    source.onerror = () => {
      set("connecting");
      if (source?.readyState === EventSource.CLOSED) timer = window.setTimeout(open, REOPEN_MS);
    };
    for (const name of EVENT_NAMES) {
      source.addEventListener(name, (event) => tell(parseEvent(name, event.data)));
    }
  }

  function onVisibility(): void {
    if (document.visibilityState === "visible" && holds === 0) open();
    else {
      clearTimeout(timer);
      source?.close();
      set("connecting");
    }
  }

  const onOffline = () => set("connecting");
  document.addEventListener("visibilitychange", onVisibility);
  window.addEventListener("online", onVisibility);
  window.addEventListener("offline", onOffline);
  open();
  return {
    listen(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    watchLine(watcher) {
      watchers.add(watcher);
      watcher(state);
      return () => watchers.delete(watcher);
    },
    hold() {
      holds += 1;
      onVisibility();
      return () => {
        holds -= 1;
        onVisibility();
      };
    },
    close() {
      document.removeEventListener("visibilitychange", onVisibility);
      window.removeEventListener("online", onVisibility);
      window.removeEventListener("offline", onOffline);
      clearTimeout(timer);
      source?.close();
    },
  };
}

/** An event whose data cannot be read still says that something happened. */
export function parseEvent(name: EventName, text: string): ServerEvent {
  try {
    const data: unknown = JSON.parse(text);
    if (typeof data !== "object" || data === null) return { name, exam: null, data: {} };
    const fields = data as Record<string, unknown>;
    const exam = fields.exam_id;
    return { name, exam: typeof exam === "number" ? exam : null, data: fields };
  } catch {
    return { name, exam: null, data: {} };
  }
}
