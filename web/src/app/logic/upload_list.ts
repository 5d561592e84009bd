/** Files on their way to the server, as a list that the page shows. Pure. */

import type { UploadedMember } from "../api/types";

/** `preparing`: it is made smaller before it is sent. */
export type UploadState =
  | "waiting"
  | "preparing"
  | "sending"
  | "taking-in"
  | "done"
  | "failed"
  | "cancelled";

export interface UploadItem {
  readonly id: number;
  readonly name: string;
  readonly bytes: number;
  /** Bytes of the file as it was chosen; null: it is sent as it is. */
  readonly from: number | null;
  readonly sent: number;
  readonly state: UploadState;
  readonly members: readonly UploadedMember[];
  readonly problem: string | null;
}

export interface UploadTotals {
  readonly bytes: number;
  readonly sent: number;
  readonly counts: Readonly<Record<UploadState, number>>;
}

export function totalsOf(items: readonly UploadItem[]): UploadTotals {
  const counts: Record<UploadState, number> = {
    waiting: 0,
    preparing: 0,
    sending: 0,
    "taking-in": 0,
    done: 0,
    failed: 0,
    cancelled: 0,
  };
  for (const { state } of items) counts[state] += 1;
  const alive = items.filter(({ state }) => state !== "cancelled");
  return {
    bytes: alive.reduce((sum, { bytes }) => sum + bytes, 0),
    sent: alive.reduce((sum, { sent }) => sum + sent, 0),
    counts,
  };
}

export function withItem(
  items: readonly UploadItem[],
  id: number,
  changes: Partial<UploadItem>,
): readonly UploadItem[] {
  return items.map((item) => (item.id === id ? { ...item, ...changes } : item));
}

const NOT_USED = ["rejected", "refused", "ignored", "passed_over"];

export function isUnused({ outcome }: UploadedMember): boolean {
  return NOT_USED.includes(outcome);
}

/** Everything arrived, and nothing of it can be used: that must not look like a success. */
export function isUseless({ state, members }: UploadItem): boolean {
  return state === "done" && (members.length === 0 || members.every(isUnused));
}

export function isUnderWay({ state }: UploadItem): boolean {
  return ["waiting", "preparing", "sending", "taking-in"].includes(state);
}
