/** The page of signing in, and the dialog over the page when a session has ended. */

import { useState } from "react";
import { useFrame } from "../parts/app_context";
import { Dialog } from "../parts/dialog";
import { useTitle } from "../parts/hooks";
import { LanguageChoice } from "../parts/language";
import { Brand } from "../shell/brand";
import type { SessionState } from "./keeper";
import { SignInSteps } from "./steps";

export function SignInPage({ state }: { state: SessionState & { kind: "signing-in" } }) {
  const { words } = useFrame();
  useTitle(words.say("sign-in.title"));
  const stage = state.session?.stage ?? "name";
  const isRefused = new URLSearchParams(location.search).has("refused");
  return (
    <main className="sign-in">
      <section className="card">
        <Brand />
        <h1>{words.say(`sign-in.title-${stage === "open" ? "name" : stage}`)}</h1>
        {isRefused && (
          <p className="note note-bad" role="alert">
            {words.say("sign-in.provider-refused")}
          </p>
        )}
        <SignInSteps key={stage} session={state.session} />
        <LanguageChoice />
        <p className="research">{words.say("app.research")}</p>
      </section>
    </main>
  );
}

export function StartPage({ reason, retry }: { reason: string | null; retry(): void }) {
  const { words } = useFrame();
  return (
    <main className="sign-in">
      <section className="card">
        <Brand />
        {reason === null ? (
          <p role="status">{words.say("app.starting")}</p>
        ) : (
          <>
            <p className="note note-bad" role="alert">
              {words.say("app.unreachable", { reason })}
            </p>
            <button type="button" className="primary" onClick={retry}>
              {words.say("app.try-again")}
            </button>
          </>
        )}
        <p className="research">{words.say("app.research")}</p>
      </section>
    </main>
  );
}

/** Nothing of the page below is lost; what waits is sent when the same person is back. */
export function LostDialog({ state }: { state: SessionState & { kind: "lost" } }) {
  const { words, apis } = useFrame();
  const [asks, setAsks] = useState(false);
  const { session, begun } = state;
  const name = session.person.display_name;
  const isOther = begun !== null && begun.person.id !== session.person.id;
  const drop = () => {
    apis.keeper.forget();
    location.reload();
  };
  return (
    <Dialog title={words.say("lost.title")}>
      <p>{words.say("lost.how", { name })}</p>
      {isOther ? (
        <>
          <p className="note note-bad" role="alert">
            {words.say("lost.other", { name, other: begun.person.display_name })}
          </p>
          <div className="actions">
            <button
              type="button"
              className="primary"
              onClick={() => void apis.session.signOut().finally(() => apis.keeper.start())}
            >
              {words.say("lost.sign-in-as", { name })}
            </button>
          </div>
        </>
      ) : (
        <SignInSteps key={begun?.stage ?? "name"} session={begun} name={session.person.name} />
      )}
      {asks ? (
        <div className="note note-bad">
          <p>{words.say("lost.drop-text")}</p>
          <div className="actions">
            <button type="button" className="danger" onClick={drop}>
              {words.say("lost.drop")}
            </button>
            <button type="button" onClick={() => setAsks(false)}>
              {words.say("app.cancel")}
            </button>
          </div>
        </div>
      ) : (
        <button type="button" className="quiet" onClick={() => setAsks(true)}>
          {words.say("lost.leave")}
        </button>
      )}
    </Dialog>
  );
}
