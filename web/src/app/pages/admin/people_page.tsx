/** People: invited with a one-time password, given roles at sites, closed. */

import { type FormEvent, useState } from "react";
import type { Invited, Person, Role, Site } from "../../api/types";
import { hasRole } from "../../logic/rights";
import { useDesk } from "../../parts/app_context";
import { Confirm, Dialog } from "../../parts/dialog";
import { ProblemNote, TextField } from "../../parts/form";
import { useAction, useLoad } from "../../parts/hooks";
import { ListPage, Table } from "../../parts/list_page";
import { OneTimePassword } from "./one_time_password";
import { PersonDialog } from "./person_dialog";

export const ROLES: readonly Role[] = [
  ...(["uploader", "reader", "arbiter", "administrator", "health_worker"] as const),
];

/** Sites whose people this person looks after. */
export function managedSites(person: Person, sites: readonly Site[]): readonly Site[] {
  return sites.filter(
    (site) => person.is_administrator || hasRole(person, "administrator", site.id),
  );
}

export default function PeoplePage() {
  const { words, apis, sites } = useDesk();
  const list = useLoad(apis.people.list, "people");
  const [dialog, setDialog] = useState<"invite" | Person | null>(null);
  const [invited, setInvited] = useState<Invited | null>(null);
  const siteName = (id: number) => sites.find((site) => site.id === id)?.name ?? `#${id}`;
  const rolesOf = (person: Person) => {
    const at = [...new Set(person.roles.map(({ site }) => site))];
    return at.map((site) => {
      const roles = person.roles.filter((one) => one.site === site);
      const said = roles.map(({ role }) => words.say(`role.${role}`)).join(", ");
      return `${siteName(site)}: ${said}`;
    });
  };
  return (
    <ListPage
      title={words.say("page.people")}
      empty={words.say("people.none")}
      list={list}
      actions={
        <button type="button" className="primary" onClick={() => setDialog("invite")}>
          {words.say("people.invite")}
        </button>
      }
    >
      {(people) => (
        <>
          <Table
            items={people}
            id={(one) => one.id}
            rowClass={(one) => (one.is_active ? "" : "closed")}
            columns={[
              {
                title: words.say("people.name"),
                cell: (one) => (
                  <>
                    <button type="button" className="link" onClick={() => setDialog(one)}>
                      {one.display_name}
                    </button>
                    <small>{one.name}</small>
                  </>
                ),
              },
              {
                title: words.say("people.roles"),
                cell: (one) => (
                  <>
                    {one.is_administrator && <strong>{words.say("people.administrator")}</strong>}
                    {rolesOf(one).map((text) => (
                      <small key={text}>{text}</small>
                    ))}
                  </>
                ),
              },
              {
                title: words.say("people.sign-in"),
                cell: (one) => (
                  <>
                    {words.say(one.by_provider ? "people.by-provider" : "people.by-password")}
                    {!one.by_provider && (
                      <small>
                        {words.say(one.has_second_factor ? "people.factor" : "people.no-factor")}
                      </small>
                    )}
                  </>
                ),
              },
              {
                title: words.say("column.status"),
                cell: (one) => {
                  if (!one.is_active) return words.say("people.closed");
                  return words.say(one.must_change_password ? "people.invited" : "people.active");
                },
              },
            ]}
          />
          {dialog === "invite" && (
            <InviteDialog
              close={() => setDialog(null)}
              done={(made) => {
                setDialog(null);
                setInvited(made);
                list.reload();
              }}
            />
          )}
          {dialog !== null && dialog !== "invite" && (
            <PersonDialog
              person={dialog}
              close={() => setDialog(null)}
              changed={(person) => {
                setDialog(person);
                list.reload();
              }}
              renewed={(made) => {
                setDialog(null);
                setInvited(made);
                list.reload();
              }}
            />
          )}
          {invited && <OneTimePassword invited={invited} close={() => setInvited(null)} />}
        </>
      )}
    </ListPage>
  );
}

function InviteDialog({ close, done }: { close(): void; done(invited: Invited): void }) {
  const { words, apis, person, sites } = useDesk();
  const [name, setName] = useState("");
  const [display, setDisplay] = useState("");
  const [byProvider, setByProvider] = useState(false);
  const [roles, setRoles] = useState<ReadonlySet<string>>(new Set());
  const [asks, setAsks] = useState(false);
  const { isBusy, problem, run } = useAction();
  const send = () =>
    run(async () => {
      setAsks(false);
      const given = [...roles].map((key) => {
        const [site, role] = key.split(" ");
        return { site: Number(site), role: role as Role };
      });
      done(
        await apis.people.invite({
          name: name.trim(),
          display_name: display.trim(),
          roles: given,
          by_provider: byProvider,
        }),
      );
    });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (roles.size === 0) setAsks(true);
    else void send();
  };
  return (
    <Dialog title={words.say("people.invite")} close={close}>
      <form className="stack" onSubmit={submit}>
        <TextField
          label={words.say("people.display-name")}
          value={display}
          change={setDisplay}
          isRequired
          autoFocus
          maxLength={128}
        />
        <TextField
          label={words.say("people.account-name")}
          hint={words.say("people.account-name-how")}
          value={name}
          change={setName}
          isRequired
          maxLength={64}
        />
        <RoleChoice
          sites={managedSites(person, sites)}
          has={(site, role) => roles.has(`${site} ${role}`)}
          toggle={(site, role) => setRoles(toggled(roles, `${site} ${role}`))}
        />
        <label className="check">
          <input
            type="checkbox"
            checked={byProvider}
            onChange={(event) => setByProvider(event.target.checked)}
          />
          {words.say("people.use-provider")}
        </label>
        <ProblemNote problem={problem} />
        <div className="actions">
          <button type="submit" className="primary" disabled={isBusy}>
            {words.say("people.invite")}
          </button>
        </div>
      </form>
      {asks && (
        <Confirm
          title={words.say("people.invite")}
          text={words.say("people.without-roles")}
          act={words.say("people.invite")}
          confirm={() => void send()}
          close={() => setAsks(false)}
        />
      )}
    </Dialog>
  );
}

export function toggled(set: ReadonlySet<string>, key: string): ReadonlySet<string> {
  const next = new Set(set);
  if (!next.delete(key)) next.add(key);
  return next;
}

export interface RoleChoiceProps {
  readonly sites: readonly Site[];
  has(site: number, role: Role): boolean;
  toggle(site: number, role: Role): void;
}

/** Roles as a table: sites down, roles across. */
export function RoleChoice({ sites, has, toggle }: RoleChoiceProps) {
  const { words } = useDesk();
  if (sites.length === 0) return <p className="quiet">{words.say("people.no-sites")}</p>;
  return (
    <div className="roles-scroll">
      <table className="roles">
        <caption>{words.say("people.roles")}</caption>
        <thead>
          <tr>
            <td />
            {ROLES.map((role) => (
              <th key={role} scope="col">
                {words.say(`role.${role}`)}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {sites.map((site) => (
            <tr key={site.id}>
              <th scope="row">{site.name}</th>
              {ROLES.map((role) => (
                <td key={role}>
                  <input
                    type="checkbox"
                    aria-label={`${words.say(`role.${role}`)}, ${site.name}`}
                    checked={has(site.id, role)}
                    onChange={() => toggle(site.id, role)}
                  />
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
