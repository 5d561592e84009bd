/** What this device keeps, for parts of the page. */

import { useMemo, useSyncExternalStore } from "react";
import type { DeviceDesk } from "../device/desk";
import type { Outbox } from "../device/outbox";
import type { QueueItem, ReadingItem } from "../device/queue_items";
import { useFrame } from "./app_context";

export function useDevice(): DeviceDesk {
  const { device } = useFrame().apis;
  useSyncExternalStore(device.subscribe, () => `${device.state} ${device.hasPin}`);
  return device;
}

export function useQueue(): { readonly outbox: Outbox; readonly items: readonly QueueItem[] } {
  const { outbox } = useFrame().apis;
  const items = useSyncExternalStore(outbox.subscribe, () => outbox.items);
  return { outbox, items };
}

/** What waits about one exam. */
export function useQueued(exam: number): readonly ReadingItem[] {
  const { outbox, items } = useQueue();
  // biome-ignore lint/correctness/useExhaustiveDependencies: whenever the queue changes
  return useMemo(() => outbox.of(exam), [outbox, items, exam]);
}
