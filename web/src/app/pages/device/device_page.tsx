/** This device: what it keeps, what waits to be sent, how it opens without a line. */

import { useState, useSyncExternalStore } from "react";
import type { QueueItem } from "../../device/queue_items";
import { LEAST_PIN } from "../../device/vault";
import { dateTimeWords } from "../../logic/times";
import { useDesk } from "../../parts/app_context";
import { Confirm } from "../../parts/dialog";
import { ProblemNote, TextField } from "../../parts/form";
import { useAction, useLoad, useTitle } from "../../parts/hooks";
import { QueueList, titleOf } from "../../parts/queue_list";
import { useDevice, useQueue } from "../../parts/use_device";

export default function DevicePage() {
  const { words } = useDesk();
  const device = useDevice();
  useTitle(words.say("page.device"));
  return (
    <section className="page device">
      <header className="page-head">
        <h1>{words.say("page.device")}</h1>
      </header>
      <p className="quiet how">{words.say("device.how")}</p>
      {device.state === "wiped" && (
        <p className="note note-bad" role="alert">
          {words.say("device.wiped")}
        </p>
      )}
      {device.state === "locked" && (
        <p className="note note-warning">{words.say("device.locked")}</p>
      )}
      <InstallOffer />
      {device.state === "open" && <Waiting />}
      <PinForm />
      {device.state !== "off" && <Wipe />}
      <OtherDevices />
    </section>
  );
}

function InstallOffer() {
  const { words, apis } = useDesk();
  const { install } = apis;
  const isOffered = useSyncExternalStore(install.subscribe, () => install.isOffered);
  const isInstalled = useSyncExternalStore(install.subscribe, () => install.isInstalled);
  if (isInstalled) return null;
  return (
    <section className="stack">
      <h2>{words.say("install.title")}</h2>
      <p className="quiet">{words.say(isOffered ? "install.how" : "install.by-menu")}</p>
      {isOffered && (
        <div className="actions">
          <button type="button" onClick={() => void install.ask()}>
            {words.say("install.act")}
          </button>
        </div>
      )}
    </section>
  );
}

function Waiting() {
  const { words } = useDesk();
  const { outbox, items } = useQueue();
  const [asked, setAsked] = useState<QueueItem | null>(null);
  return (
    <section className="stack">
      <h2>{words.say("queue.title")}</h2>
      {items.length === 0 && <p>{words.say("queue.empty")}</p>}
      <QueueList
        items={items}
        isSending={outbox.isSending}
        decide={(item, what) => {
          if (what === "discard") setAsked(item);
          else void outbox.send(item.id);
        }}
      />
      {items.length > 0 && (
        <div className="actions">
          <button type="button" className="primary" onClick={() => void outbox.send()}>
            {words.say("queue.send-now")}
          </button>
        </div>
      )}
      {asked && (
        <Confirm
          title={words.say("queue.discard")}
          text={words.say("queue.discard-text", { title: titleOf(asked, words) })}
          act={words.say("queue.discard")}
          confirm={() => void outbox.discard(asked.id).then(() => setAsked(null))}
          close={() => setAsked(null)}
        />
      )}
    </section>
  );
}

function PinForm() {
  const { words, apis, announce } = useDesk();
  const device = useDevice();
  const action = useAction();
  const [pin, setPin] = useState("");
  const [again, setAgain] = useState("");
  const isNew = device.state !== "open";
  const isShort = !/^\d*$/.test(pin) || (pin !== "" && pin.length < LEAST_PIN);
  const differs = again !== "" && again !== pin;
  const save = async () => {
    const { state } = apis.keeper;
    if (state.kind !== "open" || isShort || differs) return;
    const act = isNew ? () => device.begin(state.session, pin) : () => device.setPin(pin);
    if (await action.run(act)) {
      setPin("");
      setAgain("");
      announce(words.say(isNew ? "device.begun" : "app.saved"));
    }
  };
  if (device.state === "locked") return null;
  return (
    <form
      className="stack"
      onSubmit={(event) => {
        event.preventDefault();
        void save();
      }}
    >
      <h2>{words.say(isNew ? "device.begin" : "device.pin")}</h2>
      <p>{words.say(isNew ? "device.begin-how" : "device.pin-how")}</p>
      {!isNew && !device.hasPin && (
        <p className="note note-warning">{words.say("device.no-pin")}</p>
      )}
      <TextField
        label={words.say("pin.label")}
        type="password"
        inputMode="numeric"
        autoComplete="off"
        value={pin}
        change={setPin}
        wrong={isShort ? words.say("pin.digits", { n: LEAST_PIN }) : null}
        isRequired
      />
      <TextField
        label={words.say("pin.again")}
        type="password"
        inputMode="numeric"
        autoComplete="off"
        value={again}
        change={setAgain}
        wrong={differs ? words.say("pin.differ") : null}
        isRequired
      />
      <ProblemNote problem={action.problem} />
      <div className="actions">
        <button type="submit" className="primary" disabled={action.isBusy}>
          {words.say(isNew ? "device.begin" : "device.set-pin")}
        </button>
      </div>
    </form>
  );
}

function Wipe() {
  const { words, announce } = useDesk();
  const device = useDevice();
  const { items } = useQueue();
  const [asks, setAsks] = useState(false);
  const names = items.map((item) => titleOf(item, words)).join("; ");
  const text = names === "" ? "device.wipe-text" : "device.wipe-unsent";
  const wipe = async () => {
    setAsks(false);
    await device.wipe();
    announce(words.say("device.is-wiped"));
  };
  return (
    <section className="stack">
      <h2>{words.say("device.wipe")}</h2>
      <p>{words.say("device.wipe-how")}</p>
      <div className="actions">
        <button type="button" className="danger" onClick={() => setAsks(true)}>
          {words.say("device.wipe")}
        </button>
      </div>
      {asks && (
        <Confirm
          title={words.say("device.wipe")}
          text={words.say(text, { names })}
          act={words.say("device.wipe")}
          confirm={() => void wipe()}
          close={() => setAsks(false)}
        />
      )}
    </section>
  );
}

function OtherDevices() {
  const { words, apis } = useDesk();
  const device = useDevice();
  const action = useAction();
  const mine = device.vault?.device;
  const { data, reload } = useLoad(apis.devices.list, `devices ${mine}`);
  const others = (data ?? []).filter((one) => one.id !== mine);
  if (others.length === 0) return null;
  return (
    <section className="stack">
      <h2>{words.say("device.others")}</h2>
      <ProblemNote problem={action.problem} />
      <ul className="queue">
        {others.map((one) => (
          <li key={one.id} className="queue-item">
            <strong>{one.agent}</strong>
            <span className="quiet">{dateTimeWords(one.seen_at, words.locale)}</span>
            <div className="actions">
              <button
                type="button"
                className="danger"
                disabled={action.isBusy}
                onClick={() => void action.run(() => apis.devices.wipe(one.id)).then(reload)}
              >
                {words.say("device.wipe-other")}
              </button>
            </div>
          </li>
        ))}
      </ul>
    </section>
  );
}
