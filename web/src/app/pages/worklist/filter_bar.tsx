/** Search, filters, and filters that the person saved. */

import { type FormEvent, useEffect, useRef, useState } from "react";
import type { SavedFilter } from "../../api/types";
import {
  CATEGORIES,
  type FilterName,
  type Filters,
  filtersOf,
  hidesExams,
  STATUSES,
  sameFilters,
  withFilter,
} from "../../logic/worklist";
import { useDesk } from "../../parts/app_context";
import { Dialog } from "../../parts/dialog";
import { ProblemNote, SelectField, TextField } from "../../parts/form";
import { useAction } from "../../parts/hooks";
import { useIsNarrow } from "../../parts/use_narrow";

export interface FilterBarProps {
  readonly filters: Filters;
  readonly isArbitration: boolean;
  change(filters: Filters): void;
}

/** A search is asked for when typing pauses. */
const TYPING_MS = 350;

export function FilterBar({ filters, change, isArbitration }: FilterBarProps) {
  const { words, sites, person } = useDesk();
  const set = (name: FilterName) => (value: string) => change(withFilter(filters, name, value));
  const any = ["", words.say("filter.all")] as const;
  const isNarrow = useIsNarrow();
  const selects = (
    <>
      {!isArbitration && (
        <SelectField
          label={words.say("column.status")}
          value={filters.status ?? ""}
          change={set("status")}
          options={[any, ...STATUSES.map((one) => [one, words.say(`status.${one}`)] as const)]}
        />
      )}
      <SelectField
        label={words.say("column.ai")}
        value={filters.category ?? ""}
        change={set("category")}
        options={[any, ...CATEGORIES.map((one) => [one, words.say(`category.${one}`)] as const)]}
      />
      {sites.length > 1 && (
        <SelectField
          label={words.say("column.site")}
          value={filters.site ?? ""}
          change={set("site")}
          options={[any, ...sites.map((site) => [String(site.id), site.name] as const)]}
        />
      )}
      <SelectField
        label={words.say("filter.reader")}
        value={filters.reader ?? ""}
        change={set("reader")}
        options={[any, [String(person.id), words.say("filter.mine")]]}
      />
      <SelectField
        label={words.say("filter.sort")}
        value={filters.sort ?? ""}
        change={set("sort")}
        options={[
          ["", words.say("filter.sort-worklist")],
          ["received", words.say("filter.sort-received")],
          ["patient", words.say("filter.sort-patient")],
        ]}
      />
      <details className="more-filters" open={Boolean(filters.from || filters.to || filters.doubt)}>
        <summary>{words.say("filter.more")}</summary>
        <div className="more-fields">
          <TextField
            label={words.say("filter.from")}
            type="date"
            value={filters.from ?? ""}
            change={set("from")}
          />
          <TextField
            label={words.say("filter.to")}
            type="date"
            value={filters.to ?? ""}
            change={set("to")}
          />
          <label className="check">
            <input
              type="checkbox"
              checked={filters.doubt === "true"}
              onChange={(event) => set("doubt")(event.target.checked ? "true" : "")}
            />
            {words.say("filter.doubt")}
          </label>
        </div>
      </details>
    </>
  );
  return (
    <div className="filters">
      <Search value={filters.q ?? ""} change={set("q")} />
      {isNarrow ? (
        <details>
          <summary>{words.say("filter.filters")}</summary>
          <div className="filters">{selects}</div>
        </details>
      ) : (
        selects
      )}
      {hidesExams(filters) && (
        <button type="button" className="quiet" onClick={() => change({})}>
          {words.say("filter.clear")}
        </button>
      )}
      {!isArbitration && <SavedFilters filters={filters} change={change} />}
    </div>
  );
}

function Search({ value, change }: { value: string; change(value: string): void }) {
  const { words } = useDesk();
  const [text, setText] = useState(value);
  useEffect(() => setText(value), [value]);
  const latest = useRef(change);
  latest.current = change;
  useEffect(() => {
    if (text.trim() === value) return;
    const timer = setTimeout(() => latest.current(text.trim()), TYPING_MS);
    return () => clearTimeout(timer);
  }, [text, value]);
  return (
    <search>
      <form
        className="field search"
        onSubmit={(event: FormEvent) => {
          event.preventDefault();
          change(text.trim());
        }}
      >
        <label htmlFor="worklist-search">{words.say("filter.search")}</label>
        <input
          id="worklist-search"
          type="search"
          value={text}
          placeholder={words.say("filter.search-what")}
          maxLength={100}
          onChange={(event) => setText(event.target.value)}
        />
      </form>
    </search>
  );
}

function SavedFilters({ filters, change }: Omit<FilterBarProps, "isArbitration">) {
  const { words, apis, announce } = useDesk();
  const [saved, setSaved] = useState<readonly SavedFilter[]>([]);
  const [isNaming, setNaming] = useState(false);
  const [name, setName] = useState("");
  const action = useAction();
  useEffect(() => {
    apis.exams.filters().then(setSaved, () => undefined);
  }, [apis]);
  const keep = (next: readonly SavedFilter[], said: string) =>
    action.run(async () => {
      await apis.exams.saveFilters(next);
      setSaved(next);
      setNaming(false);
      setName("");
      announce(said);
    });
  const query = (of: Filters) => new URLSearchParams(of as Record<string, string>).toString();
  const parsed = (text: string) => filtersOf(Object.fromEntries(new URLSearchParams(text)));
  return (
    <fieldset className="saved-filters" aria-label={words.say("filter.saved")}>
      {saved.map((one) => (
        <span key={one.name} className="saved-filter">
          <button
            type="button"
            aria-pressed={sameFilters(parsed(one.query), filters)}
            onClick={() => change(parsed(one.query))}
          >
            {one.name}
          </button>
          <button
            type="button"
            className="quiet"
            aria-label={words.say("filter.delete", { name: one.name })}
            onClick={() =>
              keep(
                saved.filter((other) => other !== one),
                words.say("filter.deleted"),
              )
            }
          >
            ×
          </button>
        </span>
      ))}
      {hidesExams(filters) && (
        <button type="button" className="quiet" onClick={() => setNaming(true)}>
          {words.say("filter.save")}
        </button>
      )}
      {isNaming && (
        <Dialog title={words.say("filter.save")} close={() => setNaming(false)}>
          <form
            className="stack"
            onSubmit={(event) => {
              event.preventDefault();
              const others = saved.filter((one) => one.name !== name.trim());
              void keep(
                [...others, { name: name.trim(), query: query(filters) }],
                words.say("filter.kept"),
              );
            }}
          >
            <TextField
              label={words.say("filter.name")}
              value={name}
              change={setName}
              isRequired
              autoFocus
              maxLength={60}
            />
            <ProblemNote problem={action.problem} />
            <div className="actions">
              <button type="submit" className="primary" disabled={action.isBusy}>
                {words.say("app.save")}
              </button>
            </div>
          </form>
        </Dialog>
      )}
    </fieldset>
  );
}
