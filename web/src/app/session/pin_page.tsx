/** The server cannot be reached: what this device has kept opens by its PIN. */

import { useState } from "react";
import type { PinOutcome } from "../device/vault";
import { useFrame } from "../parts/app_context";
import { TextField } from "../parts/form";
import { useTitle } from "../parts/hooks";
import { Brand } from "../shell/brand";

type Failure = Exclude<PinOutcome, { kind: "open" }>;

export function PinPage({ retry }: { retry(): void }) {
  const { words, apis } = useFrame();
  const [pin, setPin] = useState("");
  const [failure, setFailure] = useState<Failure | null>(null);
  const [isBusy, setBusy] = useState(false);
  useTitle(words.say("pin.title"));
  const open = async () => {
    setBusy(true);
    const found = await apis.device.tryPin(pin).finally(() => setBusy(false));
    if ("kind" in found) {
      setFailure(found);
      setPin("");
    } else apis.keeper.resume(found);
  };
  const isOver = failure !== null && failure.kind !== "wrong";
  return (
    <main className="sign-in">
      <section className="card">
        <Brand />
        <h1>{words.say("pin.title")}</h1>
        <p>{words.say("pin.how")}</p>
        {failure !== null && (
          <p className="note note-bad" role="alert">
            {failure.kind === "wrong"
              ? words.say("pin.wrong", { n: failure.left })
              : words.say(`pin.${failure.kind}`)}
          </p>
        )}
        {!isOver && (
          <form
            className="stack"
            onSubmit={(event) => {
              event.preventDefault();
              void open();
            }}
          >
            <TextField
              label={words.say("pin.label")}
              type="password"
              inputMode="numeric"
              autoComplete="off"
              value={pin}
              change={setPin}
              isRequired
            />
            <button type="submit" className="primary" disabled={isBusy}>
              {words.say("pin.open")}
            </button>
          </form>
        )}
        <button type="button" onClick={retry}>
          {words.say("app.try-again")}
        </button>
        <p className="research">{words.say("app.research")}</p>
      </section>
    </main>
  );
}
