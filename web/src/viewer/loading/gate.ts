/** Holds back requests for full pixels until the reader wants more than the preview shows. */

import { type Answer, type FetchQueue, URGENCY } from "./fetch_queue";

export interface Gate {
  readonly queue: FetchQueue;
  readonly isOpen: boolean;
  open(): void;
  /** For the next picture: what waits is given up. */
  close(): void;
}

interface Waiting {
  go(): void;
  giveUp(): void;
}

export function gated(queue: FetchQueue): Gate {
  let isOpen = false;
  let waiting: Waiting | null = null;

  function hold(ask: () => Promise<Answer>): Promise<Answer> {
    // Only the picture on the screen waits: that of a view before is wanted no more.
    waiting?.giveUp();
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    waiting = {
      go: () => ask().then(resolve, reject),
      giveUp: () => reject(new DOMException("No longer needed", "AbortError")),
    };
    return promise;
  }

  return {
    get isOpen() {
      return isOpen;
    },
    queue: {
      request(url, accept, urgency) {
        const ask = () => queue.request(url, accept, urgency);
        return urgency === URGENCY.shown && !isOpen ? hold(ask) : ask();
      },
      stop: (from) => queue.stop(from),
      get cachedBytes() {
        return queue.cachedBytes;
      },
    },
    open() {
      isOpen = true;
      waiting?.go();
      waiting = null;
    },
    close() {
      isOpen = false;
      waiting?.giveUp();
      waiting = null;
    },
  };
}
