/**
 * The session of this page: who is signed in, and what happens when the session ends.
 *
 * When it ends, requests wait (`recover`) while a dialog asks the person to sign in again. Only the
 * same person can go on: what waits belongs to them.
 */

import type { Session } from "../api/types";

export type SessionState =
  | { readonly kind: "starting" }
  | { readonly kind: "unreachable"; readonly reason: string }
  /** Nobody is signed in, or the sign-in is not finished. */
  | { readonly kind: "signing-in"; readonly session: Session | null }
  | { readonly kind: "open"; readonly session: Session }
  /** The session ended while the page was in use; `session` is the last one. */
  | { readonly kind: "lost"; readonly session: Session; readonly begun: Session | null };

export interface Keeper {
  readonly state: SessionState;
  readonly csrf: string;
  subscribe(listener: () => void): () => void;
  /** Looks who is signed in. */
  start(): Promise<void>;
  /** Goes on, without a line, with the session that this device has kept. */
  resume(session: Session): void;
  /** Takes the session that a step of signing in gave. */
  adopt(session: Session): void;
  recover(): Promise<void>;
  /** Somebody else signed in, or the person gives up: what waits is dropped. */
  forget(): void;
}

/** How the keeper asks the server; nothing of it counts as a refused request there. */
export interface Asking {
  /** The session of this browser; null if nobody is signed in. */
  show(): Promise<Session | null>;
}

export class SessionGone extends Error {}

export function makeKeeper(asking: Asking): Keeper {
  let state: SessionState = { kind: "starting" };
  let csrf = "";
  let waiting: PromiseWithResolvers<void> | null = null;
  const listeners = new Set<() => void>();

  const become = (to: SessionState) => {
    state = to;
    for (const listener of listeners) listener();
  };

  function adopt(session: Session): void {
    csrf = session.csrf_token;
    const isOpen = session.stage === "open";
    if (state.kind !== "lost") {
      become(isOpen ? { kind: "open", session } : { kind: "signing-in", session });
      return;
    }
    const isSame = session.person.id === state.session.person.id;
    if (!isOpen || !isSame) {
      become({ kind: "lost", session: state.session, begun: session });
      return;
    }
    become({ kind: "open", session });
    waiting?.resolve();
    waiting = null;
  }

  return {
    get state() {
      return state;
    },
    get csrf() {
      return csrf;
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    async start() {
      try {
        const session = await asking.show();
        if (session === null) become({ kind: "signing-in", session: null });
        else adopt(session);
      } catch (error) {
        become({ kind: "unreachable", reason: error instanceof Error ? error.message : "" });
      }
    },
    resume(session) {
      if (state.kind !== "unreachable") return;
      csrf = session.csrf_token;
      become({ kind: "open", session });
    },
    adopt,
    async recover() {
      if (state.kind !== "open" && state.kind !== "lost") throw new SessionGone();
      if (waiting !== null) return waiting.promise;
      const last = state.session;
      waiting = Promise.withResolvers<void>();
      const { promise } = waiting;
      // Another tab may have signed in again, or has replaced the session.
      const session = await asking.show().catch(() => null);
      if (session?.stage === "open" && session.person.id === last.person.id) {
        csrf = session.csrf_token;
        become({ kind: "open", session });
        waiting?.resolve();
        waiting = null;
      } else become({ kind: "lost", session: last, begun: session });
      return promise;
    },
    forget() {
      waiting?.reject(new SessionGone());
      waiting = null;
      csrf = "";
      become({ kind: "signing-in", session: null });
    },
  };
}
