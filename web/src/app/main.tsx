/** Starts the page: words, API, session. */

import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./App";
import { makeClient } from "./api/client";
import { examsApi } from "./api/exams";
import { auditApi, peopleApi, sitesApi } from "./api/people";
import { followUpApi, readingsApi } from "./api/readings";
import { accountApi, sessionApi } from "./api/session";
import { uploadsApi } from "./api/uploads";
import { loadAppWords, preferredLanguage } from "./messages/text";
import type { Apis } from "./parts/app_context";
import { makeKeeper } from "./session/keeper";
import "./styles/index.css";

function makeApis(): Apis {
  const keeper = makeKeeper({
    // A stranger who asks for a session is refused and audited: first it is asked who one is.
    show: async () => ((await session.ways()).signed_in ? session.show() : null),
  });
  const client = makeClient(keeper);
  const session = sessionApi(client);
  return {
    client,
    keeper,
    session,
    account: accountApi(client),
    people: peopleApi(client),
    sites: sitesApi(client),
    audit: auditApi(client),
    exams: examsApi(client),
    readings: readingsApi(client),
    followUp: followUpApi(client),
    uploads: uploadsApi(client),
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
