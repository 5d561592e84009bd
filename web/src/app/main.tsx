/** Starts the page: words, API, session. */

import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./App";
import { makeClient } from "./api/client";
import { devicesApi } from "./api/devices";
import { examsApi } from "./api/exams";
import { modelApi } from "./api/model";
import { outcomesApi } from "./api/outcomes";
import { auditApi, peopleApi, sitesApi } from "./api/people";
import { followUpApi, readingsApi } from "./api/readings";
import { accountApi, sessionApi } from "./api/session";
import { sharesApi } from "./api/shares";
import { uploadsApi } from "./api/uploads";
import { makeDevice } from "./device/build";
import { watchInstall } from "./device/install";
import { makeKeeping } from "./device/kept_answers";
import { watchUpdates } from "./device/updates";
import { loadAppWords, preferredLanguage } from "./messages/text";
import type { Apis } from "./parts/app_context";
import { draftsOf } from "./parts/drafts";
import { makeKeeper } from "./session/keeper";
import "./styles/index.css";

function makeApis(): Apis {
  const keeper = makeKeeper({
    // A stranger who asks for a session is refused and audited: first it is asked who one is.
    show: async () => ((await session.ways()).signed_in ? session.show() : null),
  });
  const kept = makeKeeping(() => device.desk.vault);
  const client = makeClient(keeper, undefined, kept);
  const session = sessionApi(client);
  const exams = examsApi(client);
  const readings = readingsApi(client);
  const uploads = uploadsApi(client);
  const device = makeDevice({
    ...{ client, readings, exams, uploads },
    openHere: () => draftsOf(readings).reading.unsaved(),
  });
  return {
    client,
    keeper,
    session,
    account: accountApi(client),
    people: peopleApi(client),
    sites: sitesApi(client),
    audit: auditApi(client),
    exams,
    readings,
    outcomes: outcomesApi(client),
    followUp: followUpApi(client),
    uploads,
    devices: devicesApi(client),
    model: modelApi(client),
    shares: sharesApi(client),
    device: device.desk,
    outbox: device.outbox,
    line: kept,
    updates: watchUpdates(navigator.serviceWorker),
    install: watchInstall(window, matchMedia("(display-mode: standalone)").matches),
  };
}

async function start(): Promise<void> {
  const words = await loadAppWords(preferredLanguage());
  const apis = makeApis();
  const root = document.getElementById("root");
  if (root === null) throw new Error("the page has no element for the application");
  createRoot(root).render(
    <StrictMode>
      <App apis={apis} words={words} />
    </StrictMode>,
  );
  await apis.keeper.start();
}

void start();
