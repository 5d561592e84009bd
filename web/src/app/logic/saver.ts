/**
 * Keeps a draft at the server while the reader works: a moment after each change, one request at a
 * time, again after a failure. What could not be saved stays in memory and is named as unsaved.
 */

export type SaveState =
  | { readonly kind: "saved" }
  | { readonly kind: "waiting" }
  | { readonly kind: "saving" }
  /** The line or the server is away; it is tried again. */
  | { readonly kind: "failed"; readonly reason: string }
  /** The server refuses for good, or has another version. Nothing is overwritten. */
  | { readonly kind: "refused"; readonly reason: string; readonly isConflict: boolean };

export interface SaveFailure {
  readonly message: string;
  readonly isPassing: boolean;
  readonly isConflict: boolean;
}

export interface SaverOptions<T> {
  save(content: T): Promise<void>;
  explain(error: unknown): SaveFailure;
  changed(state: SaveState): void;
  /** Pause after a change before it is sent, in milliseconds. */
  readonly pauseMs?: number;
  /** Pause before a failed save is tried again, in milliseconds. */
  readonly retryMs?: number;
}

export interface Saver<T> {
  set(content: T): void;
  /** Sends what is left now; resolves when all is saved, rejects if it cannot be. */
  flush(): Promise<void>;
  readonly state: SaveState;
  readonly isClean: boolean;
  stop(): void;
}

const PAUSE_MS = 800;
const RETRY_MS = 4000;

export function makeSaver<T>(options: SaverOptions<T>): Saver<T> {
  const { pauseMs = PAUSE_MS, retryMs = RETRY_MS } = options;
  let state: SaveState = { kind: "saved" };
  let pending: { readonly content: T } | null = null;
  let running: Promise<void> | null = null;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let stopped = false;

  const become = (to: SaveState) => {
    state = to;
    options.changed(to);
  };
  const later = (ms: number) => {
    clearTimeout(timer);
    timer = setTimeout(() => void start().catch(() => undefined), ms);
  };

  function start(): Promise<void> {
    clearTimeout(timer);
    if (running !== null) return running.then(start, start);
    if (pending === null || stopped) return Promise.resolve();
    const sent = pending;
    become({ kind: "saving" });
    running = options
      .save(sent.content)
      .then(
        () => {
          if (pending === sent) {
            pending = null;
            become({ kind: "saved" });
          } else become({ kind: "waiting" });
        },
        (error: unknown) => {
          const { message, isPassing, isConflict } = options.explain(error);
          if (isPassing) {
            become({ kind: "failed", reason: message });
            if (!stopped) later(retryMs);
          } else become({ kind: "refused", reason: message, isConflict });
          throw error;
        },
      )
      .finally(() => {
        running = null;
      });
    return running.then(() => (pending === null ? undefined : start()));
  }

  return {
    set(content) {
      pending = { content };
      if (stopped) return;
      // After a refusal nothing is sent by itself: it would be refused again, or overwrite.
      if (state.kind === "refused") return;
      if (running === null) {
        become({ kind: "waiting" });
        later(pauseMs);
      }
    },
    flush: start,
    get state() {
      return state;
    },
    get isClean() {
      return pending === null;
    },
    stop() {
      stopped = true;
      clearTimeout(timer);
    },
  };
}
