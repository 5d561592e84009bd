/**
 * The browser's offer to install the page. It comes once, early, and is kept until a person asks for
 * it under "This device". Safari makes no such offer: there the page says where its menu has it.
 */

interface InstallOffer extends Event {
  prompt(): Promise<unknown>;
  readonly userChoice: Promise<{ readonly outcome: "accepted" | "dismissed" }>;
}

export interface Install {
  /** Whether the browser offers it now. */
  readonly isOffered: boolean;
  /** Whether this is the installed page. */
  readonly isInstalled: boolean;
  subscribe(listener: () => void): () => void;
  /** Opens the browser's own question. An offer can be taken once. */
  ask(): Promise<void>;
}

export function watchInstall(page: EventTarget, isInstalled: boolean): Install {
  let offer: InstallOffer | null = null;
  let done = isInstalled;
  const listeners = new Set<() => void>();
  const set = (to: InstallOffer | null) => {
    offer = to;
    for (const listener of listeners) listener();
  };
  page.addEventListener("beforeinstallprompt", (event) => {
    event.preventDefault();
    set(event as InstallOffer);
  });
  page.addEventListener("appinstalled", () => {
    done = true;
    set(null);
  });
  return {
    get isOffered() {
      return offer !== null;
    },
    get isInstalled() {
      return done;
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    async ask() {
      const asked = offer;
      set(null);
      await asked?.prompt();
    },
  };
}
