/** Sending exams in: files, folders or a zip, by choice or by drag and drop. */

import { type DragEvent, useRef, useState, useSyncExternalStore } from "react";
import type { UploadsApi } from "../../api/uploads";
import { fromDrop, fromInput, isLeftOut, type NamedFile, sizeWords } from "../../logic/files";
import { sitesAs } from "../../logic/rights";
import { totalsOf } from "../../logic/upload_list";
import { useDesk } from "../../parts/app_context";
import { SelectField } from "../../parts/form";
import { useTitle } from "../../parts/hooks";
import { UploadLine } from "./upload_line";
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
                sent: sizeWords(totals.sent, words.locale),
                of: sizeWords(totals.bytes, words.locale),
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
