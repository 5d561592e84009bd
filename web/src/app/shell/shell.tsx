/** What surrounds every page of a person: navigation, research notice, account, messages. */

import { type ReactNode, useEffect, useRef, useState } from "react";
import type { LineState } from "../api/events";
import { pagesOf } from "../logic/rights";
import { hashTo, type PageName, type Route } from "../logic/route";
import { useDesk } from "../parts/app_context";
import { draftsOf } from "../parts/drafts";
import { useNow } from "../parts/hooks";
import { Brand } from "./brand";
import { LineNotes } from "./line_notes";
import { OpenNotices } from "./open_notices";
import { SignOut } from "./sign_out";

export interface ShellProps {
  readonly route: Route;
  readonly children: ReactNode;
}

export function Shell({ route, children }: ShellProps) {
  const { words, person } = useDesk();
  useFocusOn(route);
  const isReading = route.page === "exams" || route.page === "arbitration";
  const isExam = isReading && route.id !== null;
  return (
    <div className={isExam ? "shell shell-exam" : "shell"}>
      <button type="button" className="skip" onClick={skip}>
        {words.say("app.skip")}
      </button>
      <header className="bar">
        <a className="home" href={hashTo("worklist")} aria-label={words.say("app.home")}>
          <Brand />
        </a>
        <nav className="pages" aria-label={words.say("app.pages")}>
          {pagesOf(person).map((page) => (
            <a
              key={page}
              href={hashTo(page)}
              aria-current={isCurrent(route, page) ? "page" : undefined}
            >
              {words.say(`page.${page}`)}
              {page === "notices" && <OpenNotices />}
            </a>
          ))}
        </nav>
        <Unsaved route={route} />
        <p className="research">{words.say("app.research")}</p>
        <Line />
        <nav className="me" aria-label={words.say("app.me")}>
          <a
            href={hashTo("account")}
            aria-current={route.page === "account" ? "page" : undefined}
            title={words.say("page.account")}
          >
            {person.display_name}
          </a>
          <SignOut />
        </nav>
      </header>
      <main id="main" tabIndex={-1}>
        <LineNotes />
        {children}
      </main>
    </div>
  );
}

function isCurrent(route: Route, page: PageName): boolean {
  if (route.page === "exams" || route.page === "patients") return page === "worklist";
  return route.page === page;
}

/** Another page: keyboards and screen readers begin at its top. */
function useFocusOn({ page, id }: Route): void {
  const isFirst = useRef(true);
  // biome-ignore lint/correctness/useExhaustiveDependencies: at each other page
  useEffect(() => {
    if (isFirst.current) isFirst.current = false;
    else document.getElementById("main")?.focus({ preventScroll: true });
  }, [page, id]);
}

/** A button, not a link: the address after `#` says which page is shown. */
function skip(): void {
  document.getElementById("main")?.focus();
}

const LOOK_MS = 2000;

/** Answers to other exams that are not at the server yet, with the way back to them. */
function Unsaved({ route }: { route: Route }) {
  const { words, apis } = useDesk();
  useNow(LOOK_MS);
  const drafts = draftsOf(apis.readings);
  const open = [
    ...drafts.reading.unsaved().map((exam) => ["exams", exam] as const),
    ...drafts.arbitration.unsaved().map((exam) => ["arbitration", exam] as const),
  ].filter(([page, exam]) => route.page !== page || route.id !== String(exam));
  return open.map(([page, exam]) => (
    <a key={`${page} ${exam}`} className="unsaved" href={hashTo(page, exam)}>
      {words.say("app.unsaved", { n: exam })}
    </a>
  ));
}

/** Whether the page hears of changes as they happen. */
function Line() {
  const { words, events } = useDesk();
  const [state, setState] = useState<LineState>("connecting");
  useEffect(() => events.watchLine(setState), [events]);
  return (
    <p className={`connection connection-${state}`} role="status">
      <span aria-hidden="true" className="connection-dot" />
      {words.say(`line.${state}`)}
    </p>
  );
}

export interface Toast {
  readonly id: number;
  readonly text: string;
  readonly tone: "good" | "warning";
}

export function Toasts({ toasts }: { toasts: readonly Toast[] }) {
  return (
    <div className="toasts" role="status" aria-live="polite">
      {toasts.map(({ id, text, tone }) => (
        <p key={id} className={`toast toast-${tone}`}>
          {text}
        </p>
      ))}
    </div>
  );
}
