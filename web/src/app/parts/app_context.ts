/** What every part of the page may use: words, who is signed in, the API, events, messages. */

import { createContext, useContext } from "react";
import type { Client } from "../api/client";
import type { DevicesApi } from "../api/devices";
import type { Events } from "../api/events";
import type { examsApi } from "../api/exams";
import type { ModelApi } from "../api/model";
import type { outcomesApi } from "../api/outcomes";
import type { auditApi, peopleApi, sitesApi } from "../api/people";
import type { followUpApi, readingsApi } from "../api/readings";
import type { accountApi, SessionApi } from "../api/session";
import type { SharesApi } from "../api/shares";
import type { Person, Site } from "../api/types";
import type { UploadsApi } from "../api/uploads";
import type { DeviceDesk } from "../device/desk";
import type { Install } from "../device/install";
import type { LineWatch } from "../device/kept_answers";
import type { Outbox } from "../device/outbox";
import type { Updates } from "../device/updates";
import type { AppWords } from "../messages/text";
import type { Keeper } from "../session/keeper";

export interface Apis {
  readonly client: Client;
  readonly keeper: Keeper;
  readonly session: SessionApi;
  readonly account: ReturnType<typeof accountApi>;
  readonly people: ReturnType<typeof peopleApi>;
  readonly sites: ReturnType<typeof sitesApi>;
  readonly audit: ReturnType<typeof auditApi>;
  readonly exams: ReturnType<typeof examsApi>;
  readonly readings: ReturnType<typeof readingsApi>;
  readonly outcomes: ReturnType<typeof outcomesApi>;
  readonly followUp: ReturnType<typeof followUpApi>;
  readonly uploads: UploadsApi;
  readonly devices: DevicesApi;
  readonly model: ModelApi;
  readonly shares: SharesApi;
  /** What this browser keeps of the person, and what of it waits to be sent. */
  readonly device: DeviceDesk;
  readonly outbox: Outbox;
  readonly line: LineWatch;
  readonly updates: Updates;
  readonly install: Install;
}

/** Before somebody is signed in. */
export interface Frame {
  readonly words: AppWords;
  readonly apis: Apis;
  setLanguage(language: string): void;
}

export interface Desk extends Frame {
  readonly person: Person;
  readonly sites: readonly Site[];
  readonly events: Events;
  /** Reads sites again after they were changed. */
  reloadSites(): void;
  /** A short message that is also spoken by screen readers. */
  announce(text: string, tone?: "good" | "warning"): void;
}

export const FrameContext = createContext<Frame | null>(null);
export const DeskContext = createContext<Desk | null>(null);

export function useFrame(): Frame {
  const frame = useContext(FrameContext);
  if (frame === null) throw new Error("a part stands outside the page's frame");
  return frame;
}

export function useDesk(): Desk {
  const desk = useContext(DeskContext);
  if (desk === null) throw new Error("a part stands outside the page of a person");
  return desk;
}
