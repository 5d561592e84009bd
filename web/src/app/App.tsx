/** The application: who is signed in decides between the sign-in and the pages of a person. */

import { useCallback, useEffect, useMemo, useState, useSyncExternalStore } from "react";
import { type Events, openEvents } from "./api/events";
import type { Person, Site } from "./api/types";
import { examinesAlone } from "./logic/rights";
import { hashTo, parseRoute, type Route } from "./logic/route";
import { type AppWords, keepLanguage, loadAppWords } from "./messages/text";
import { Pages } from "./pages/pages";
import {
  type Apis,
  type Desk,
  DeskContext,
  type Frame,
  FrameContext,
  useFrame,
} from "./parts/app_context";
import { ErrorBoundary } from "./parts/error_boundary";
import { LostDialog, SignInPage, StartPage } from "./session/pages";
import { PinPage } from "./session/pin_page";
import { Shell, type Toast, Toasts } from "./shell/shell";

const TOAST_MS = 6000;

export function App({ apis, words: first }: { apis: Apis; words: AppWords }) {
  const [words, setWords] = useState(first);
  const state = useSyncExternalStore(apis.keeper.subscribe, () => apis.keeper.state);
  const setLanguage = useCallback((language: string) => {
    keepLanguage(language);
    void loadAppWords(language).then(setWords);
  }, []);
  useEffect(() => {
    document.documentElement.lang = words.language;
    document.documentElement.dir = words.direction;
  }, [words]);
  const frame = useMemo<Frame>(() => ({ words, apis, setLanguage }), [words, apis, setLanguage]);
  const isIn = state.kind === "open" || state.kind === "lost";
  return (
    <FrameContext value={frame}>
      {state.kind === "starting" && <StartPage reason={null} retry={() => apis.keeper.start()} />}
      {state.kind === "unreachable" && (
        <Unreachable reason={state.reason} retry={() => apis.keeper.start()} />
      )}
      {state.kind === "signing-in" && <SignInPage state={state} />}
      {isIn && <Signed key={state.session.person.id} person={state.session.person} />}
      {state.kind === "lost" && <LostDialog state={state} />}
    </FrameContext>
  );
}

/** Without a line the page opens by the PIN of this device, if it has one. */
function Unreachable({ reason, retry }: { reason: string; retry(): void }) {
  const { apis } = useFrame();
  const [opens, setOpens] = useState<boolean | null>(null);
  useEffect(() => {
    apis.device.canOpenByPin().then(setOpens, () => setOpens(false));
  }, [apis]);
  if (opens === null) return null;
  return opens ? <PinPage retry={retry} /> : <StartPage reason={reason} retry={retry} />;
}

function Signed({ person }: { person: Person }) {
  const frame = useFrame();
  const { apis } = frame;
  const route = useRoute();
  useEffect(() => {
    if (examinesAlone(person) && location.hash === "") location.replace(hashTo("field"));
  }, [person]);
  const [sites, setSites] = useState<readonly Site[]>([]);
  const [toasts, setToasts] = useState<readonly Toast[]>([]);
  const [events, setEvents] = useState<Events | null>(null);
  useEffect(() => {
    const opened = openEvents();
    setEvents(opened);
    return () => opened.close();
  }, []);

  const reloadSites = useCallback(() => {
    apis.sites.list().then(setSites, () => undefined);
  }, [apis]);
  useEffect(reloadSites, [reloadSites]);
  useDeviceOf(apis, events);

  const announce = useCallback((text: string, tone: Toast["tone"] = "good") => {
    const toast = { id: Date.now() + Math.random(), text, tone };
    setToasts((shown) => [...shown.slice(-2), toast]);
    setTimeout(() => setToasts((shown) => shown.filter((one) => one !== toast)), TOAST_MS);
  }, []);

  const desk = useMemo<Desk | null>(
    () => events && { ...frame, person, sites, events, reloadSites, announce },
    [frame, person, sites, events, reloadSites, announce],
  );
  if (desk === null) return null;
  return (
    <DeskContext value={desk}>
      <Shell route={route}>
        <ErrorBoundary key={route.page}>
          <Pages route={route} />
        </ErrorBoundary>
      </Shell>
      <Toasts toasts={toasts} />
    </DeskContext>
  );
}

const TRY_MS = 20_000;

/** Opens what this device keeps after a sign-in, and sends what waits whenever there is a line. */
function useDeviceOf(apis: Apis, events: Events | null): void {
  const state = useSyncExternalStore(apis.keeper.subscribe, () => apis.keeper.state);
  const session = state.kind === "open" ? state.session : null;
  useEffect(() => {
    // Without a line this fails, and the device stays as the PIN has opened it.
    if (session !== null) void apis.device.signedIn(session).catch(() => undefined);
  }, [apis, session]);
  useEffect(() => {
    const back = () => void apis.device.lineIsBack().catch(() => undefined);
    const stop = events?.listen(({ name }) => {
      if (name === "connected") back();
    });
    // Another tab may have added to what waits, or sent it.
    const look = () => {
      if (document.visibilityState !== "visible" || apis.device.vault === null) return;
      void apis.outbox.load().catch(() => undefined);
    };
    document.addEventListener("visibilitychange", look);
    window.addEventListener("online", back);
    const timer = setInterval(() => {
      if (apis.outbox.items.some((item) => item.state === "waiting")) void apis.outbox.send();
    }, TRY_MS);
    return () => {
      stop?.();
      document.removeEventListener("visibilitychange", look);
      window.removeEventListener("online", back);
      clearInterval(timer);
    };
  }, [apis, events]);
}

function useRoute(): Route {
  const hash = useSyncExternalStore(
    (changed) => {
      window.addEventListener("hashchange", changed);
      return () => window.removeEventListener("hashchange", changed);
    },
    () => location.hash,
  );
  return useMemo(() => parseRoute(hash), [hash]);
}
