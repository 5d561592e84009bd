/** The steps of signing in: password, code, a new password, a second factor. */

import { type FormEvent, type ReactNode, useEffect, useState } from "react";
import { PROVIDER_URL } from "../api/session";
import type { Session, Ways } from "../api/types";
import { useFrame } from "../parts/app_context";
import { ProblemNote, TextField } from "../parts/form";
import { useAction } from "../parts/hooks";
import { grouped, qrPath } from "./qr";

/** The next step for a session; null: nobody has begun to sign in. */
export function SignInSteps({ session, name }: { session: Session | null; name?: string }) {
  if (session === null) return <PasswordStep {...(name && { name })} />;
  switch (session.stage) {
    case "code":
      return <CodeStep />;
    case "password":
      return <NewPasswordStep />;
    case "second_factor":
      return <EnrolStep />;
    case "open":
      return null;
  }
}

interface StepFormProps {
  readonly act: string;
  submit(): Promise<Session>;
  readonly children: ReactNode;
  readonly isStart?: boolean;
}

function StepForm({ act, submit, children, isStart }: StepFormProps) {
  const { words, apis } = useFrame();
  const { isBusy, problem, run } = useAction();
  const onSubmit = (event: FormEvent) => {
    event.preventDefault();
    void run(async () => apis.keeper.adopt(await submit()));
  };
  return (
    <form className="stack" onSubmit={onSubmit}>
      {children}
      <ProblemNote problem={problem} />
      <div className="actions">
        <button type="submit" className="primary" disabled={isBusy}>
          {act}
        </button>
        {!isStart && (
          <button type="button" onClick={() => void run(apis.session.signOut).then(again)}>
            {words.say("sign-in.start-again")}
          </button>
        )}
      </div>
    </form>
  );
  function again() {
    apis.keeper.forget();
  }
}

function PasswordStep({ name: known }: { name?: string }) {
  const { words, apis } = useFrame();
  const [name, setName] = useState(known ?? "");
  const [password, setPassword] = useState("");
  const [ways, setWays] = useState<Ways | null>(null);
  useEffect(() => {
    apis.session.ways().then(setWays, () => undefined);
  }, [apis]);
  return (
    <>
      <StepForm
        act={words.say("sign-in.act")}
        submit={() => apis.session.signIn(name, password)}
        isStart
      >
        <TextField
          label={words.say("sign-in.name")}
          value={name}
          change={setName}
          autoComplete="username"
          autoFocus={known === undefined}
          isRequired
          maxLength={128}
        />
        <TextField
          label={words.say("sign-in.password")}
          value={password}
          change={setPassword}
          type="password"
          autoComplete="current-password"
          autoFocus={known !== undefined}
          isRequired
          maxLength={1024}
        />
      </StepForm>
      {ways?.provider && (
        <a className="button provider" href={PROVIDER_URL}>
          {ways.provider}
        </a>
      )}
    </>
  );
}

function CodeStep() {
  const { words, apis } = useFrame();
  const [code, setCode] = useState("");
  return (
    <StepForm act={words.say("sign-in.continue")} submit={() => apis.session.giveCode(code)}>
      <p>{words.say("sign-in.code-how")}</p>
      <CodeField code={code} change={setCode} />
    </StepForm>
  );
}

function CodeField({ code, change }: { code: string; change(code: string): void }) {
  const { words } = useFrame();
  return (
    <TextField
      label={words.say("sign-in.code")}
      value={code}
      change={(text) => change(text.replace(/[^0-9]/g, "").slice(0, 8))}
      autoComplete="one-time-code"
      inputMode="numeric"
      autoFocus
      isRequired
    />
  );
}

export const LEAST_CHARS = 12;

function NewPasswordStep() {
  const { words, apis } = useFrame();
  const [next, setNext] = useState("");
  const [again, setAgain] = useState("");
  const differs = again !== "" && again !== next ? words.say("sign-in.passwords-differ") : null;
  const submit = () => {
    if (next !== again) throw new Error(words.say("sign-in.passwords-differ"));
    return apis.session.replacePassword(next);
  };
  return (
    <StepForm act={words.say("sign-in.continue")} submit={async () => submit()}>
      <p>{words.say("sign-in.new-password-how")}</p>
      <TextField
        label={words.say("sign-in.new-password")}
        hint={words.say("sign-in.least-chars", { n: LEAST_CHARS })}
        value={next}
        change={setNext}
        type="password"
        autoComplete="new-password"
        autoFocus
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
    </StepForm>
  );
}

export function EnrolStep() {
  const { words, apis } = useFrame();
  const [code, setCode] = useState("");
  const [offer, setOffer] = useState<{ secret: string; uri: string } | null>(null);
  const { problem, run } = useAction();
  useEffect(() => {
    void run(async () => setOffer(await apis.session.offerSecondFactor()));
  }, [apis, run]);
  return (
    <StepForm act={words.say("sign-in.continue")} submit={() => apis.session.giveCode(code)}>
      <p>{words.say("sign-in.enrol-how")}</p>
      <ProblemNote problem={problem} />
      {offer && <QrCode text={offer.uri} label={words.say("sign-in.qr")} />}
      {offer && (
        <details>
          <summary>{words.say("sign-in.no-camera")}</summary>
          <p className="secret">
            <code>{grouped(offer.secret)}</code>
          </p>
        </details>
      )}
      <CodeField code={code} change={setCode} />
    </StepForm>
  );
}

function QrCode({ text, label }: { text: string; label: string }) {
  const { size, path } = qrPath(text);
  return (
    <svg className="qr" viewBox={`0 0 ${size} ${size}`} role="img" aria-label={label}>
      <rect width={size} height={size} className="qr-ground" />
      <path d={path} shapeRendering="crispEdges" />
    </svg>
  );
}
