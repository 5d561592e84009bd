/** Sending exams in: files, folders or a zip, by choice or by drag and drop. */

import { type DragEvent, useRef, useState, useSyncExternalStore } from "react";
import type { UploadsApi } from "../../api/uploads";
import { fromDrop, fromInput, isLeftOut, type NamedFile, sizeWords } from "../../logic/files";
import { sitesAs } from "../../logic/rights";
import { hashTo } from "../../logic/route";
import { isUnderWay, totalsOf, type UploadItem } from "../../logic/upload_list";
import type { AppKey } from "../../messages/text";
import { useDesk } from "../../parts/app_context";
import { SelectField } from "../../parts/form";
import { useTitle } from "../../parts/hooks";
import { makeUploader, type Uploader } from "./uploader";

const uploaders = new WeakMap<UploadsApi, Uploader>();

function uploaderOf(api: UploadsApi): Uploader {
  const known = uploaders.get(api);
  if (known !== undefined) return known;
  const made = makeUploader(api);
  uploaders.set(api, made);
  return made;
}

export default function UploadPage() {
  const { words, apis, sites, person } = useDesk();
  useTitle(words.say("page.upload"));
  const uploader = uploaderOf(apis.uploads);
  const items = useSyncExternalStore(uploader.subscribe, () => uploader.items);
  const own = sitesAs(person, "uploader");
  const possible = sites.filter((site) => person.is_administrator || own.includes(site.id));
  const [chosen, setChosen] = useState("");
  const [leftOut, setLeftOut] = useState(0);
  const [isOver, setOver] = useState(false);
  const files = useRef<HTMLInputElement>(null);
  const folder = useRef<HTMLInputElement>(null);
  const site = chosen || (possible.length === 1 ? String(possible[0].id) : "");

  const add = (found: readonly NamedFile[]) => {
    const wanted = found.filter(({ name }) => !isLeftOut(name));
    setLeftOut(found.length - wanted.length);
    uploader.add(wanted, site === "" ? null : Number(site));
  };
  const drop = (event: DragEvent) => {
    event.preventDefault();
    setOver(false);
    if (site !== "") void fromDrop(event.dataTransfer).then(add);
  };
  const over = (event: DragEvent) => {
    event.preventDefault();
    setOver(true);
  };
  const totals = totalsOf(items);
  return (
    <section className="page upload">
      <header className="page-head">
        <h1>{words.say("page.upload")}</h1>
      </header>
      <p className="quiet how">{words.say("upload.how")}</p>
      <SelectField
        label={words.say("upload.site")}
        value={site}
        change={setChosen}
        options={[
          ["", words.say("app.choose")],
          ...possible.map((one) => [String(one.id), one.name] as const),
        ]}
      />
      {/* biome-ignore lint/a11y/noStaticElementInteractions: the buttons inside do the same */}
      <div
        className={isOver ? "drop over" : "drop"}
        onDragOver={over}
        onDragLeave={() => setOver(false)}
        onDrop={drop}
      >
        <p>{words.say(site === "" ? "upload.site-first" : "upload.drop")}</p>
        <div className="actions">
          <button type="button" disabled={site === ""} onClick={() => files.current?.click()}>
            {words.say("upload.files")}
          </button>
          <button type="button" disabled={site === ""} onClick={() => folder.current?.click()}>
            {words.say("upload.folder")}
          </button>
        </div>
        <input
          ref={files}
          className="hidden"
          type="file"
          multiple
          tabIndex={-1}
          aria-label={words.say("upload.files")}
          onChange={(event) => {
            add(fromInput(event.target.files ?? []));
            event.target.value = "";
          }}
        />
        <input
          ref={(input) => {
            folder.current = input;
            input?.setAttribute("webkitdirectory", "");
          }}
          className="hidden"
          type="file"
          tabIndex={-1}
          aria-label={words.say("upload.folder")}
          onChange={(event) => {
            add(fromInput(event.target.files ?? []));
            event.target.value = "";
          }}
        />
      </div>
      {leftOut > 0 && <p className="quiet">{words.say("upload.left-out", { n: leftOut })}</p>}
      {items.length > 0 && (
        <>
          <div className="upload-total">
            <progress
              aria-label={words.say("upload.progress")}
              value={totals.sent}
              max={Math.max(totals.bytes, 1)}
            />
            <p role="status">
              {words.say("upload.total", {
                sent: sizeWords(totals.sent, words.language),
                of: sizeWords(totals.bytes, words.language),
                done: totals.counts.done,
                failed: totals.counts.failed,
              })}
            </p>
            <button type="button" className="quiet" onClick={uploader.clear}>
              {words.say("upload.clear")}
            </button>
          </div>
          <ul className="uploads">
            {items.map((item) => (
              <UploadLine key={item.id} item={item} uploader={uploader} />
            ))}
          </ul>
        </>
      )}
    </section>
  );
}

function UploadLine({ item, uploader }: { item: UploadItem; uploader: Uploader }) {
  const { words } = useDesk();
  return (
    <li className={`upload-line upload-${item.state}`}>
      <span className="upload-name">{item.name}</span>
      <span className="quiet">{sizeWords(item.bytes, words.language)}</span>
      <span className="upload-state">
        {words.say(`upload.${item.state}`)}
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
      {item.problem && <p className="field-wrong">{item.problem}</p>}
      {item.members.length > 0 && (
        <details open={item.members.length < 6}>
          <summary>{words.say("upload.members", { n: item.members.length })}</summary>
          <ul>
            {item.members.map((member) => {
              const key = `outcome.${member.outcome}`;
              return (
                <li key={member.name}>
                  {member.name}: {words.has(key) ? words.say(key as AppKey) : member.outcome}
                  {member.detail && ` (${member.detail})`}
                  {member.exam_id && (
                    <a href={hashTo("exams", member.exam_id)}>{words.say("upload.open-exam")}</a>
                  )}
                </li>
              );
            })}
          </ul>
        </details>
      )}
    </li>
  );
}
