/** API tokens for a person's own programs; a token is shown once. */

import { type FormEvent, useState } from "react";
import { dateTimeWords } from "../../logic/times";
import { useDesk } from "../../parts/app_context";
import { Dialog } from "../../parts/dialog";
import { ProblemNote, SelectField, TextField } from "../../parts/form";
import { useAction, useLoad } from "../../parts/hooks";
import { Table } from "../../parts/list_page";

const DAYS = ["30", "90", "365"] as const;

export function Tokens() {
  const { words, apis } = useDesk();
  const list = useLoad(apis.account.tokens, "tokens");
  const [name, setName] = useState("");
  const [days, setDays] = useState<string>("90");
  const [made, setMade] = useState<string | null>(null);
  const { isBusy, problem, run } = useAction();
  const time = (iso: string | null) => (iso === null ? "–" : dateTimeWords(iso, words.locale));
  const submit = (event: FormEvent) => {
    event.preventDefault();
    void run(async () => {
      setMade((await apis.account.makeToken(name.trim(), Number(days))).token);
      setName("");
      list.reload();
    });
  };
  return (
    <section className="block">
      <h2>{words.say("account.tokens")}</h2>
      <p className="quiet">{words.say("account.tokens-how")}</p>
      {(list.data ?? []).length > 0 && (
        <Table
          items={list.data ?? []}
          id={(one) => one.id}
          columns={[
            { title: words.say("account.token-name"), cell: (one) => one.name },
            { title: words.say("account.expires"), cell: (one) => time(one.expires_at) },
            { title: words.say("account.used"), cell: (one) => time(one.used_at) },
            {
              title: words.say("column.status"),
              cell: (one) => (
                <button
                  type="button"
                  disabled={isBusy}
                  onClick={() =>
                    void run(async () => {
                      await apis.account.revokeToken(one.id);
                      list.reload();
                    })
                  }
                >
                  {words.say("account.revoke")}
                </button>
              ),
            },
          ]}
        />
      )}
      <form className="inline-form" onSubmit={submit}>
        <TextField
          label={words.say("account.token-name")}
          value={name}
          change={setName}
          isRequired
          maxLength={64}
        />
        <SelectField
          label={words.say("account.token-days")}
          value={days}
          change={setDays}
          options={DAYS.map((one) => [one, words.say("account.days", { n: one })])}
        />
        <button type="submit" disabled={isBusy}>
          {words.say("account.make-token")}
        </button>
      </form>
      <ProblemNote problem={list.problem ?? problem} />
      {made !== null && (
        <Dialog title={words.say("account.token-made")} close={() => setMade(null)}>
          <p>{words.say("account.token-once")}</p>
          <p className="secret">
            <code>{made}</code>
          </p>
        </Dialog>
      )}
    </section>
  );
}
