/** Lines above every page: what is shown was kept, what waits to be sent, a newer build is here. */

import { useSyncExternalStore } from "react";
import { hashTo } from "../logic/route";
import { dateTimeWords } from "../logic/times";
import { useDesk } from "../parts/app_context";
import { useDevice, useQueue } from "../parts/use_device";

export function LineNotes() {
  const { words, apis } = useDesk();
  const { line, updates } = apis;
  const keptAt = useSyncExternalStore(line.subscribe, () => line.keptAt);
  const isNew = useSyncExternalStore(updates.subscribe, () => updates.isWaiting);
  const { items } = useQueue();
  const device = useDevice();
  const bad = items.filter(({ state }) => state === "conflict" || state === "refused").length;
  const kept = keptAt === null ? null : new Date(keptAt).toISOString();
  return (
    <>
      {kept !== null && (
        <p className="line-note line-note-kept" role="status">
          {words.say("line.kept", { time: dateTimeWords(kept, words.locale) })}
        </p>
      )}
      {device.state === "wiped" && (
        <p className="line-note line-note-bad" role="alert">
          {words.say("device.wiped")}
        </p>
      )}
      {items.length > 0 && (
        <a className={`line-note ${bad > 0 ? "line-note-bad" : ""}`} href={hashTo("device")}>
          {bad > 0
            ? words.say("line.not-taken", { n: bad })
            : words.say("line.waiting", { n: items.length })}
        </a>
      )}
      {isNew && (
        <p className="line-note" role="status">
          {words.say("line.update")}
          <button type="button" onClick={() => updates.take()}>
            {words.say("line.update-now")}
          </button>
        </p>
      )}
    </>
  );
}
