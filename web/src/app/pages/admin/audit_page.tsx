/** The audit trail: who saw or changed what, and whether the chain is whole. */

import { type FormEvent, useState } from "react";
import type { AuditEntry, Page } from "../../api/types";
import { hashTo } from "../../logic/route";
import { dateTimeWords } from "../../logic/times";
import { useDesk } from "../../parts/app_context";
import { Busy, ProblemNote, TextField } from "../../parts/form";
import { useAction, useLoad, useTitle } from "../../parts/hooks";
import { Table } from "../../parts/list_page";

const NO_QUERY = { actor: "", action: "", exam: "" };

export default function AuditPage() {
  const { words, apis } = useDesk();
  useTitle(words.say("page.audit"));
  const [typed, setTyped] = useState(NO_QUERY);
  const [query, setQuery] = useState(NO_QUERY);
  const [cursors, setCursors] = useState<readonly (number | null)[]>([null]);
  const cursor = cursors.at(-1) ?? null;
  const key = JSON.stringify([query, cursor]);
  const list = useLoad<Page<AuditEntry, number>>(() => apis.audit.list({ ...query, cursor }), key);
  const search = (event: FormEvent) => {
    event.preventDefault();
    setCursors([null]);
    setQuery(typed);
  };
  const field = (name: keyof typeof NO_QUERY) => (
    <TextField
      label={words.say(`audit.${name}`)}
      value={typed[name]}
      change={(value) => setTyped({ ...typed, [name]: value })}
      maxLength={100}
    />
  );
  return (
    <section className="page">
      <header className="page-head">
        <h1>{words.say("page.audit")}</h1>
        <Verification />
      </header>
      <form className="filters" onSubmit={search}>
        {field("actor")}
        {field("action")}
        {field("exam")}
        <button type="submit">{words.say("audit.search")}</button>
      </form>
      <ProblemNote problem={list.problem} />
      {list.data === null && list.problem === null && <Busy text={words.say("app.loading")} />}
      {list.data && list.data.items.length === 0 && (
        <p className="empty">{words.say("audit.none")}</p>
      )}
      {list.data && list.data.items.length > 0 && (
        <Table
          items={list.data.items}
          id={(one) => one.number}
          columns={[
            {
              title: words.say("audit.at"),
              cell: (one) => <time dateTime={one.at}>{dateTimeWords(one.at, words.locale)}</time>,
            },
            { title: words.say("audit.actor"), cell: (one) => one.actor },
            { title: words.say("audit.action"), cell: (one) => one.action },
            {
              title: words.say("audit.exam"),
              cell: (one) =>
                one.exam_id && <a href={hashTo("exams", one.exam_id)}>{one.exam_id}</a>,
            },
            {
              title: words.say("audit.detail"),
              cell: (one) => <code className="detail">{detailOf(one.detail)}</code>,
            },
          ]}
        />
      )}
      <nav className="pager" aria-label={words.say("worklist.pager")}>
        <button
          type="button"
          disabled={cursors.length === 1}
          onClick={() => setCursors(cursors.slice(0, -1))}
        >
          {words.say("worklist.back")}
        </button>
        <button
          type="button"
          disabled={!list.data?.next}
          onClick={() => setCursors([...cursors, list.data?.next ?? null])}
        >
          {words.say("worklist.forward")}
        </button>
      </nav>
    </section>
  );
}

function detailOf(detail: Readonly<Record<string, unknown>>): string {
  return Object.entries(detail)
    .map(([name, value]) => `${name}: ${typeof value === "string" ? value : JSON.stringify(value)}`)
    .join(", ");
}

function Verification() {
  const { words, apis } = useDesk();
  const [said, setSaid] = useState<{ text: string; isGood: boolean } | null>(null);
  const { isBusy, problem, run } = useAction();
  const verify = () =>
    run(async () => {
      const { sound, length, reason, broken_at } = await apis.audit.verify();
      const text = sound
        ? words.say("audit.intact", { n: length })
        : words.say("audit.broken", { at: broken_at ?? "?", reason: reason ?? "" });
      setSaid({ text, isGood: sound });
    });
  return (
    <>
      <button type="button" disabled={isBusy} onClick={() => void verify()}>
        {words.say("audit.verify")}
      </button>
      {said && (
        <p className={said.isGood ? "note note-good" : "note note-bad"} role="status">
          {said.text}
        </p>
      )}
      <ProblemNote problem={problem} />
    </>
  );
}
