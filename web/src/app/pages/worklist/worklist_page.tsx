/** The worklist: exams in the order in which they should be read, live, filtered, by keyboard. */

import { useEffect, useRef, useState } from "react";
import { hashOf, hashTo, type Route } from "../../logic/route";
import { type Filters, filtersOf, hidesExams, keptRow, rowAfterKey } from "../../logic/worklist";
import { useDesk } from "../../parts/app_context";
import { Busy, ProblemNote } from "../../parts/form";
import { useTitle } from "../../parts/hooks";
import { ExamTable } from "./exam_table";
import { FilterBar } from "./filter_bar";
import { lastExam, rememberList } from "./memory";
import { useExamList } from "./use_list";

export function WorklistPage({ route, title }: { route: Route; title?: "arbitration" }) {
  const { words } = useDesk();
  const heading = words.say(title === "arbitration" ? "page.arbitration" : "page.worklist");
  useTitle(heading);
  const filters = filtersOf(route.query);
  const asked: Filters = title === "arbitration" ? { ...filters, status: "arbitration" } : filters;
  const list = useExamList(asked);
  const rows = list.page?.items ?? [];
  const [selected, setSelected] = useState<{ exam: number | null; place: number }>(() => ({
    exam: lastExam(),
    place: 0,
  }));
  const isBack = useRef(lastExam() !== null);
  const place = keptRow(rows, selected.exam, selected.place);
  const table = useRef<HTMLDivElement>(null);

  useEffect(() => {
    if (list.page !== null) rememberList(location.hash || hashTo("worklist"), list.page.items);
  }, [list.page]);

  // Who comes back from an exam goes on there.
  useEffect(() => {
    if (!isBack.current || list.page === null) return;
    isBack.current = false;
    if (list.page.items[place]?.id !== selected.exam) return;
    const links = table.current?.querySelectorAll<HTMLElement>("[data-exam-link]");
    links?.[place]?.focus({ preventScroll: false });
  }, [list.page, place, selected.exam]);

  const select = (at: number) => setSelected({ exam: rows[at]?.id ?? null, place: at });
  const focus = (at: number) => {
    select(at);
    table.current?.querySelectorAll<HTMLElement>("[data-exam-link]")[at]?.focus();
  };
  const onKey = useRef<(event: KeyboardEvent) => void>(() => undefined);
  onKey.current = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const target = event.target as HTMLElement;
    if (target.closest("dialog") !== null) return;
    if (target.closest("input, select, textarea") !== null) {
      if (event.key === "Escape") target.blur();
      return;
    }
    if (event.key === "/") {
      document.getElementById("worklist-search")?.focus();
    } else if (event.key === "r") list.reload();
    else if (event.key === "PageDown" || event.key === "n") list.forward();
    else if (event.key === "PageUp" || event.key === "p") list.back();
    else if (event.key === "Enter" && target.closest("a, button, summary") === null) {
      if (rows[place] !== undefined) location.hash = hashTo("exams", rows[place].id);
    } else {
      const inList = table.current?.contains(document.activeElement) ?? false;
      // Arrow keys scroll the page as long as the list has not been entered by j or k.
      if (!inList && event.key.length > 1) return;
      const from = inList || selected.exam !== null ? place : -1;
      const at = rowAfterKey(event.key, from, rows.length);
      if (at === null) return;
      focus(at);
    }
    event.preventDefault();
  };
  useEffect(() => {
    const listener = (event: KeyboardEvent) => onKey.current(event);
    document.addEventListener("keydown", listener);
    return () => document.removeEventListener("keydown", listener);
  }, []);

  const change = (to: Filters) => {
    const query = Object.fromEntries(Object.entries(to));
    location.hash = hashOf({ page: route.page, id: null, query });
  };
  return (
    <section className="page worklist">
      <header className="page-head">
        <h1>{heading}</h1>
        <p className="quiet" role="status">
          {list.page?.total != null && words.say("worklist.total", { n: list.page.total })}
        </p>
        <p className="keys-hint">{words.say("worklist.keys")}</p>
      </header>
      <FilterBar filters={filters} change={change} isArbitration={title === "arbitration"} />
      <ProblemNote problem={list.problem} />
      {list.page === null && list.old === null && list.problem === null && (
        <Busy text={words.say("app.loading")} />
      )}
      {list.old !== null && (
        <div className="old" inert aria-hidden="true">
          <ExamTable
            rows={list.old.items}
            selected={-1}
            select={() => undefined}
            isMarked={false}
          />
        </div>
      )}
      {list.page !== null && (
        <div ref={table} onPointerMove={list.touch} aria-busy={list.isLoading}>
          <ExamTable
            rows={rows}
            selected={place}
            select={select}
            isMarked={selected.exam !== null}
          />
          {rows.length === 0 && (
            <p className="empty">
              {words.say(hidesExams(filters) ? "worklist.none-found" : "worklist.none")}
            </p>
          )}
        </div>
      )}
      {(list.number > 0 || list.page?.next) && (
        <nav className="pager" aria-label={words.say("worklist.pager")}>
          <button type="button" disabled={list.number === 0} onClick={list.back}>
            {words.say("worklist.back")}
          </button>
          <span>{words.say("worklist.page", { n: list.number + 1 })}</span>
          <button type="button" disabled={!list.page?.next} onClick={list.forward}>
            {words.say("worklist.forward")}
          </button>
        </nav>
      )}
    </section>
  );
}
