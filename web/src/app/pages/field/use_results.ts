/** What became of the images that were sent, as soon as the server says it. */

import { useEffect, useRef, useState } from "react";
import type { UploadResult, UploadsApi } from "../../api/uploads";
import type { QueueItem } from "../../device/queue_items";
import { useDesk } from "../../parts/app_context";
import { useQueue } from "../../parts/use_device";

export interface Arrived {
  readonly id: string;
  readonly url: string;
  /** As it was sent: the view, and the name of the file. */
  readonly name: string;
  /** null: it is being received, and checked if it is a photograph. */
  readonly result: UploadResult | null;
}

/** Between two questions what became of an image, and how often it is asked. */
const ASK_MS = 1_500;
const MOST_QUESTIONS = 400;

/** Lives above the steps, so that no image is sent before somebody listens. */
export function useResults(): readonly Arrived[] {
  const { apis } = useDesk();
  const { outbox } = useQueue();
  const [arrived, setArrived] = useState<readonly Arrived[]>([]);
  const isGone = useRef(false);
  useEffect(() => {
    isGone.current = false;
    const stop = outbox.watchSent((item: QueueItem) => {
      if (item.kind !== "upload" || !item.url) return;
      const { id, url, name } = item;
      setArrived((now) => [...now, { id, url, name, result: null }]);
      void follow(apis.uploads, url, () => isGone.current).then((result) => {
        if (result === null || isGone.current) return;
        setArrived((now) => now.map((one) => (one.id === id ? { ...one, result } : one)));
      });
    });
    return () => {
      isGone.current = true;
      stop();
    };
  }, [outbox, apis]);
  return arrived;
}

/** Asks until it is known; a line that is away meanwhile is no answer. */
async function follow(
  uploads: UploadsApi,
  url: string,
  isGone: () => boolean,
): Promise<UploadResult | null> {
  for (let asked = 0; asked < MOST_QUESTIONS && !isGone(); asked += 1) {
    const found = await uploads.result({ url }).catch(() => null);
    if (found?.state === "done") return found;
    await new Promise((done) => setTimeout(done, ASK_MS));
  }
  return null;
}
