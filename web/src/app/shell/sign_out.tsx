/** Signing out: first what is not saved is sent, and what cannot be sent is named. */

import { useState } from "react";
import { useDesk } from "../parts/app_context";
import { Confirm } from "../parts/dialog";
import { draftsOf } from "../parts/drafts";

export function SignOut() {
  const { words, apis } = useDesk();
  const [asks, setAsks] = useState(false);
  const leave = () => void apis.session.signOut().finally(() => location.reload());
  const begin = async () => {
    const drafts = draftsOf(apis.readings);
    const saved = await Promise.all([drafts.reading.settle(), drafts.arbitration.settle()]);
    if (saved.every(Boolean)) leave();
    else setAsks(true);
  };
  return (
    <>
      <button type="button" className="quiet" onClick={() => void begin()}>
        {words.say("app.sign-out")}
      </button>
      {asks && (
        <Confirm
          title={words.say("app.sign-out")}
          text={words.say("app.sign-out-unsaved")}
          act={words.say("app.sign-out-anyway")}
          confirm={leave}
          close={() => setAsks(false)}
        />
      )}
    </>
  );
}
