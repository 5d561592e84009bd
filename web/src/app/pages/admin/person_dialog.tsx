/** One person: name, roles, a new one-time password, closing the account. */

import { useState } from "react";
import type { Invited, Person, Role } from "../../api/types";
import { hasRole } from "../../logic/rights";
import { useDesk } from "../../parts/app_context";
import { Confirm, Dialog } from "../../parts/dialog";
import { ProblemNote, TextField } from "../../parts/form";
import { useAction } from "../../parts/hooks";
import { managedSites, RoleChoice } from "./people_page";

export interface PersonDialogProps {
  readonly person: Person;
  close(): void;
  changed(person: Person): void;
  renewed(invited: Invited): void;
}

type Asking = "password" | "close" | "sessions" | "devices" | "administrator";

export function PersonDialog({ person: shown, close, changed, renewed }: PersonDialogProps) {
  const { words, apis, person: me, sites, announce } = useDesk();
  const [display, setDisplay] = useState(shown.display_name);
  const [asking, setAsking] = useState<Asking | null>(null);
  const action = useAction();
  const change = (act: () => Promise<Person>) =>
    action.run(async () => {
      changed(await act());
      announce(words.say("app.saved"));
      setAsking(null);
    });
  const setRole = (site: number, role: Role) => {
    const now = shown.roles.filter((one) => one.site === site).map((one) => one.role);
    const next = now.includes(role) ? now.filter((one) => one !== role) : [...now, role];
    void change(() => apis.people.setRoles(shown.id, site, next));
  };
  const confirm = () => {
    switch (asking) {
      case "password":
        void action.run(async () => renewed(await apis.people.renewPassword(shown.id)));
        break;
      case "close":
        void change(() => apis.people.setActive(shown.id, !shown.is_active));
        break;
      case "administrator":
        void change(() => apis.people.setAdministrator(shown.id, !shown.is_administrator));
        break;
      case "sessions":
        void action.run(async () => {
          const { ended } = await apis.people.endSessions(shown.id);
          announce(words.say("account.sessions-ended", { n: ended }));
          setAsking(null);
        });
        break;
      case "devices":
        void action.run(async () => {
          const { wiped } = await apis.devices.wipeAllOf(shown.id);
          announce(words.say("people.devices-wiped", { n: wiped }));
          setAsking(null);
        });
        break;
      case null:
    }
  };
  const closing = shown.is_active ? "people.close" : "people.open";
  const administering = shown.is_administrator ? "people.no-longer-admin" : "people.make-admin";
  const asked = {
    password: { title: "people.renew", text: "people.renew-text" },
    close: { title: closing, text: shown.is_active ? "people.close-text" : "people.open-text" },
    sessions: { title: "people.end-sessions", text: "people.end-sessions-text" },
    devices: { title: "people.wipe-devices", text: "people.wipe-devices-text" },
    administrator: { title: administering, text: "people.admin-text" },
  } as const;
  return (
    <Dialog title={shown.display_name} close={close}>
      <div className="stack">
        <form
          className="inline-form"
          onSubmit={(event) => {
            event.preventDefault();
            void change(() => apis.people.rename(shown.id, display.trim()));
          }}
        >
          <TextField
            label={words.say("people.display-name")}
            value={display}
            change={setDisplay}
            isRequired
            maxLength={128}
          />
          <button type="submit" disabled={action.isBusy || display.trim() === shown.display_name}>
            {words.say("app.save")}
          </button>
        </form>
        <RoleChoice
          sites={managedSites(me, sites)}
          has={(site, role) => hasRole(shown, role, site)}
          toggle={setRole}
        />
        <ProblemNote problem={action.problem} />
        <div className="actions">
          {!shown.by_provider && (
            <button type="button" onClick={() => setAsking("password")}>
              {words.say("people.renew")}
            </button>
          )}
          <button type="button" onClick={() => setAsking("sessions")}>
            {words.say("people.end-sessions")}
          </button>
          <button type="button" onClick={() => setAsking("devices")}>
            {words.say("people.wipe-devices")}
          </button>
          {me.is_administrator && (
            <button type="button" onClick={() => setAsking("administrator")}>
              {words.say(administering)}
            </button>
          )}
          <button type="button" className="danger" onClick={() => setAsking("close")}>
            {words.say(closing)}
          </button>
        </div>
      </div>
      {asking && (
        <Confirm
          title={words.say(asked[asking].title)}
          text={words.say(asked[asking].text, { name: shown.display_name })}
          act={words.say(asked[asking].title)}
          isBusy={action.isBusy}
          confirm={confirm}
          close={() => setAsking(null)}
        />
      )}
    </Dialog>
  );
}
