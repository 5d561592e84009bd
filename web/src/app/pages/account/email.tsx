/** The address to which a person gets messages: a count and a link, nothing of a patient. */

import { type FormEvent, useState } from "react";
import { useDesk } from "../../parts/app_context";
import { ProblemNote, TextField } from "../../parts/form";
import { useAction, useLoad } from "../../parts/hooks";

export function Email() {
  const { words, apis, announce } = useDesk();
  const found = useLoad(apis.account.email, "email");
  const [given, setGiven] = useState<string | null>(null);
  const { isBusy, problem, run } = useAction();
  const submit = (event: FormEvent) => {
    event.preventDefault();
    void run(async () => {
      await apis.account.setEmail((given ?? "").trim() || null);
      announce(words.say("app.saved"));
      setGiven(null);
      found.reload();
    });
  };
  return (
    <section className="block">
      <h2>{words.say("account.email")}</h2>
      <form className="stack narrow" onSubmit={submit}>
        <TextField
          label={words.say("account.email")}
          hint={words.say(
            found.data?.can_send === false ? "account.email-off" : "account.email-how",
          )}
          value={given ?? found.data?.email ?? ""}
          change={setGiven}
          type="text"
          autoComplete="email"
          maxLength={254}
        />
        <ProblemNote problem={found.problem ?? problem} />
        <div className="actions">
          <button type="submit" disabled={isBusy || given === null}>
            {words.say("app.save")}
          </button>
        </div>
      </form>
    </section>
  );
}
