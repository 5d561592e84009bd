/** What a person sets for themselves: language, password, second factor, tokens, sessions. */

import { type FormEvent, useState } from "react";
import { dateTimeWords } from "../../logic/times";
import { useDesk } from "../../parts/app_context";
import { ProblemNote, TextField } from "../../parts/form";
import { useAction, useLoad, useTitle } from "../../parts/hooks";
import { LanguageChoice } from "../../parts/language";
import { Table } from "../../parts/list_page";
import { LEAST_CHARS } from "../../session/steps";
import { Email } from "./email";
import { Tokens } from "./tokens";

export default function AccountPage() {
  const { words, person, sites } = useDesk();
  useTitle(words.say("page.account"));
  return (
    <section className="page account">
      <header className="page-head">
        <h1>{words.say("page.account")}</h1>
      </header>
      <section className="block">
        <h2>{person.display_name}</h2>
        <p className="quiet">{person.name}</p>
        <ul>
          {person.is_administrator && <li>{words.say("people.administrator")}</li>}
          {person.roles.map(({ site, role }) => (
            <li key={`${site} ${role}`}>
              {sites.find((one) => one.id === site)?.name ?? `#${site}`}:{" "}
              {words.say(`role.${role}`)}
            </li>
          ))}
        </ul>
      </section>
      <section className="block">
        <h2>{words.say("app.language")}</h2>
        <LanguageChoice />
      </section>
      {!person.by_provider && (
        <>
          <section className="block">
            <h2>{words.say("account.password")}</h2>
            <Password />
          </section>
          <section className="block">
            <h2>{words.say("account.factor")}</h2>
            <p>
              {words.say(person.has_second_factor ? "account.factor-on" : "account.factor-off")}
            </p>
          </section>
        </>
      )}
      <Email />
      <Tokens />
      <Sessions />
    </section>
  );
}

function Password() {
  const { words, apis, announce } = useDesk();
  const [present, setPresent] = useState("");
  const [next, setNext] = useState("");
  const [again, setAgain] = useState("");
  const { isBusy, problem, run } = useAction();
  const differs = again !== "" && again !== next ? words.say("sign-in.passwords-differ") : null;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (next !== again) return;
    void run(async () => {
      apis.keeper.adopt(await apis.account.changePassword(present, next));
      announce(words.say("account.password-changed"));
      setPresent("");
      setNext("");
      setAgain("");
    });
  };
  return (
    <form className="stack narrow" onSubmit={submit}>
      <TextField
        label={words.say("account.present-password")}
        value={present}
        change={setPresent}
        type="password"
        autoComplete="current-password"
        isRequired
        maxLength={1024}
      />
      <TextField
        label={words.say("sign-in.new-password")}
        hint={words.say("sign-in.least-chars", { n: LEAST_CHARS })}
        value={next}
        change={setNext}
        type="password"
        autoComplete="new-password"
        isRequired
        maxLength={1024}
      />
      <TextField
        label={words.say("sign-in.password-again")}
        value={again}
        change={setAgain}
        wrong={differs}
        type="password"
        autoComplete="new-password"
        isRequired
        maxLength={1024}
      />
      <ProblemNote problem={problem} />
      <div className="actions">
        <button type="submit" disabled={isBusy}>
          {words.say("account.change-password")}
        </button>
      </div>
    </form>
  );
}

function Sessions() {
  const { words, apis, announce } = useDesk();
  const list = useLoad(apis.account.sessions, "sessions");
  const { isBusy, problem, run } = useAction();
  const time = (iso: string) => dateTimeWords(iso, words.locale);
  const end = (act: () => Promise<unknown>) =>
    run(async () => {
      await act();
      list.reload();
    });
  const endOthers = () =>
    end(async () => {
      const { ended } = await apis.account.endOtherSessions();
      announce(words.say("account.sessions-ended", { n: ended }));
    });
  return (
    <section className="block">
      <h2>{words.say("account.sessions")}</h2>
      <ProblemNote problem={list.problem ?? problem} />
      <Table
        items={list.data ?? []}
        id={(one) => one.id}
        columns={[
          {
            title: words.say("account.browser"),
            cell: (one) => (
              <>
                {one.agent}
                <small>{one.address}</small>
              </>
            ),
          },
          { title: words.say("account.began"), cell: (one) => time(one.created_at) },
          { title: words.say("account.seen"), cell: (one) => time(one.seen_at) },
          {
            title: words.say("column.status"),
            cell: (one) =>
              one.is_this ? (
                words.say("account.this-session")
              ) : (
                <button
                  type="button"
                  disabled={isBusy}
                  onClick={() => void end(() => apis.account.endSession(one.id))}
                >
                  {words.say("account.end")}
                </button>
              ),
          },
        ]}
      />
      <div className="actions">
        <button type="button" disabled={isBusy} onClick={() => void endOthers()}>
          {words.say("account.end-others")}
        </button>
      </div>
    </section>
  );
}
