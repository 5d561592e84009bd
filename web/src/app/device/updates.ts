/** The service worker of the page: installed once, and replaced when the person agrees. */

export interface Updates {
  /** A newer build of the page is here and waits. */
  readonly isWaiting: boolean;
  subscribe(listener: () => void): () => void;
  /** Lets the newer build take over; the page is loaded again by it. */
  take(): void;
}

const WORKER = "/sw.js";
const LOOK_MS = 30 * 60_000;

/** @param reload loads the page again, once the newer build serves it */
export function watchUpdates(
  container: ServiceWorkerContainer | undefined,
  reload: () => void = () => location.reload(),
): Updates {
  let waiting: ServiceWorker | null = null;
  let isTaking = false;
  const listeners = new Set<() => void>();
  const found = (worker: ServiceWorker | null) => {
    waiting = worker;
    for (const listener of listeners) listener();
  };

  async function start(workers: ServiceWorkerContainer): Promise<void> {
    const registration = await workers.register(WORKER, { updateViaCache: "none" });
    // Without a controller this is the first one: there is nothing that it would replace.
    const look = () => {
      if (registration.waiting !== null && workers.controller !== null) found(registration.waiting);
    };
    look();
    registration.addEventListener("updatefound", () => {
      registration.installing?.addEventListener("statechange", look);
    });
    const ask = () => void registration.update().catch(() => undefined);
    setInterval(ask, LOOK_MS);
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "visible") ask();
    });
  }

  container?.addEventListener("controllerchange", () => {
    if (isTaking) reload();
  });
  if (container !== undefined) start(container).catch(() => undefined);
  return {
    get isWaiting() {
      return waiting !== null;
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    take() {
      isTaking = true;
      waiting?.postMessage("take over");
    },
  };
}
