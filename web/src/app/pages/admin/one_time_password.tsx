import type { Invited } from "../../api/types";
import { useDesk } from "../../parts/app_context";
import { Dialog } from "../../parts/dialog";

/** The one-time password is shown this once. */
export function OneTimePassword({ invited, close }: { invited: Invited; close(): void }) {
  const { words } = useDesk();
  const { person, one_time_password: password } = invited;
  return (
    <Dialog title={words.say("people.invited-title", { name: person.display_name })} close={close}>
      {password === null ? (
        <p>{words.say("people.invited-provider")}</p>
      ) : (
        <>
          <p>{words.say("people.invited-how")}</p>
          <dl className="facts">
            <div>
              <dt>{words.say("people.account-name")}</dt>
              <dd>
                <code>{person.name}</code>
              </dd>
            </div>
            <div>
              <dt>{words.say("people.one-time-password")}</dt>
              <dd>
                <code className="secret">{password}</code>
              </dd>
            </div>
          </dl>
        </>
      )}
    </Dialog>
  );
}
