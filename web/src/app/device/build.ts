/** Puts together what a device keeps: vault, kept answers and queue. */

import type { Client } from "../api/client";
import { devicesApi } from "../api/devices";
import type { examsApi } from "../api/exams";
import type { ReadingsApi } from "../api/readings";
import type { UploadsApi } from "../api/uploads";
import { type DeviceDesk, makeDeviceDesk } from "./desk";
import { makeOutbox, type Outbox } from "./outbox";
import { draftId, type QueueItem } from "./queue_items";
import { sendReading } from "./send_reading";
import { forgetFile, sendUpload } from "./send_upload";

export interface Senders {
  readonly client: Client;
  readonly readings: ReadingsApi;
  readonly exams: ReturnType<typeof examsApi>;
  readonly uploads: UploadsApi;
  /** Exams whose answers are open in this page, which saves them itself. */
  openHere(): readonly number[];
}

export interface Device {
  readonly desk: DeviceDesk;
  readonly outbox: Outbox;
}

export function makeDevice({ client, readings, exams, uploads, openHere }: Senders): Device {
  const desk = makeDeviceDesk({ api: devicesApi(client), outbox: () => outbox });
  const vaultNow = () => {
    if (desk.vault === null) throw new Error("this device keeps nothing now");
    return desk.vault;
  };
  const outbox: Outbox = makeOutbox({
    vault: () => desk.vault,
    deliver: (item, keep) =>
      item.kind === "reading"
        ? sendReading(item, { readings, showExam: exams.show, keep })
        : sendUpload(item, { uploads, vault: vaultNow(), keep }),
    forget: async (item: QueueItem) => {
      if (item.kind === "upload") await forgetFile(vaultNow(), item);
    },
    isElsewhere: (item) =>
      item.kind === "reading" && item.id === draftId(item.exam) && openHere().includes(item.exam),
  });
  return { desk, outbox };
}
