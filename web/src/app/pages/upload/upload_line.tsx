/** One file on its way, and what became of it and of each file in it. */

import type { UploadedMember } from "../../api/types";
import { sizeWords } from "../../logic/files";
import { faultsIn } from "../../logic/photographs";
import { hashTo } from "../../logic/route";
import { isUnderWay, isUseless, type UploadItem } from "../../logic/upload_list";
import type { AppKey } from "../../messages/text";
import { useDesk } from "../../parts/app_context";
import { Quality } from "../../parts/quality";
import type { Uploader } from "./uploader";

/** Fewer files than this are shown at once. */
const FEW = 6;

export function UploadLine({ item, uploader }: { item: UploadItem; uploader: Uploader }) {
  const { words } = useDesk();
  const { members } = item;
  const exams = [...new Set(members.flatMap((member) => member.exam_id ?? []))];
  const state = isUseless(item) ? "useless" : item.state;
  return (
    <li className={`upload-line upload-${state}`}>
      <span className="upload-name">{item.name}</span>
      <span className="quiet">
        {item.from === null
          ? sizeWords(item.bytes, words.locale)
          : words.say("upload.smaller", {
              from: sizeWords(item.from, words.locale),
              to: sizeWords(item.bytes, words.locale),
            })}
      </span>
      <span className="upload-state">
        {words.say(`upload.${state}`)}
        {item.state === "sending" && (
          <progress aria-label={item.name} value={item.sent} max={Math.max(item.bytes, 1)} />
        )}
      </span>
      {isUnderWay(item) && item.state !== "taking-in" && (
        <button type="button" className="quiet" onClick={() => uploader.cancel(item.id)}>
          {words.say("app.cancel")}
        </button>
      )}
      {item.state === "failed" && (
        <button type="button" className="quiet" onClick={() => uploader.retry(item.id)}>
          {words.say("app.try-again")}
        </button>
      )}
      {item.problem && <p className="field-wrong">{words.reason(item.problem)}</p>}
      {members.length === 1 && (
        <p className="upload-member">
          <Outcome member={members[0]} />
        </p>
      )}
      {members.length > 1 && (
        <details open={members.length < FEW}>
          <summary>{words.say("upload.members", { n: members.length })}</summary>
          <ul>
            {members.map((member) => (
              <li key={member.name}>
                {member.name}: <Outcome member={member} />
              </li>
            ))}
          </ul>
        </details>
      )}
      {item.state === "done" &&
        exams.slice(0, FEW).map((exam) => <Quality key={exam} exam={exam} />)}
    </li>
  );
}

function Outcome({ member }: { member: UploadedMember }) {
  const { words } = useDesk();
  const key = `outcome.${member.outcome}`;
  const faults = faultsIn(member.reason);
  return (
    <>
      {words.has(key) ? words.say(key as AppKey) : member.outcome}
      {faults.length === 0 && member.reason && ` (${words.reason(member.reason)})`}
      {faults.length > 0 && (
        <ul className="faults">
          {faults.map((fault) => (
            <li key={fault}>{words.say(`fault.${fault}` as AppKey)}</li>
          ))}
        </ul>
      )}
      {member.exam_id && (
        <a href={hashTo("exams", member.exam_id)}>{words.say("upload.open-exam")}</a>
      )}
    </>
  );
}
