/** Sending exams in: files, folders or a zip, by choice or by drag and drop. */

import { type DragEvent, useEffect, useRef, useState, useSyncExternalStore } from "react";
import type { UploadFacts, UploadsApi } from "../../api/uploads";
import { orFull } from "../../device/full";
import { keepFile } from "../../device/send_upload";
import type { OpenVault } from "../../device/vault";
import { fromDrop, fromInput, isLeftOut, type NamedFile, sizeWords } from "../../logic/files";
import { sitesAs } from "../../logic/rights";
import { totalsOf } from "../../logic/upload_list";
import { useDesk } from "../../parts/app_context";
import { ProblemNote, SelectField } from "../../parts/form";
import { useAction, useTitle } from "../../parts/hooks";
import { QueueList } from "../../parts/queue_list";
import { useDevice, useQueue } from "../../parts/use_device";
import { PhotographForm } from "./photograph_form";
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
  const device = useDevice();
  const { outbox, items: queued } = useQueue();
  const action = useAction();
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

  const add = (found: readonly NamedFile[], facts: UploadFacts = {}) => {
    const wanted = found.filter(({ name }) => !isLeftOut(name));
    setLeftOut(found.length - wanted.length);
    const at = site === "" ? null : Number(site);
    if (device.vault === null) uploader.add(wanted, at, facts);
    else void keep(device.vault, wanted, at, facts);
  };
  /** On a device that keeps data, files go by its queue: a closed tab or a new start loses none. */
  const keep = async (
    vault: OpenVault,
    wanted: readonly NamedFile[],
    at: number | null,
    facts: UploadFacts,
  ) => {
    for (const { file, name } of wanted) {
      const isKept = await action.run(() =>
        orFull(() => keepFile(vault, file, name, at, outbox.add, facts)),
      );
      if (!isKept) return;
      void outbox.send();
    }
  };
  useEffect(
    () =>
      outbox.watchSent((item) => {
        if (item.kind === "upload" && item.url) {
          uploader.adopt(item.name, item.bytes, { url: item.url });
        }
      }),
    [outbox, uploader],
  );
  const drop = (event: DragEvent) => {
    event.preventDefault();
    setOver(false);
    if (site !== "") void fromDrop(event.dataTransfer).then((found) => add(found));
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
      <PhotographForm
        isReady={site !== ""}
        send={(file, facts) => add([{ file, name: `${facts.photograph} ${file.name}` }], facts)}
      />
      <ProblemNote problem={action.problem} />
      {device.state === "open" && <p className="quiet">{words.say("upload.kept")}</p>}
      <QueueList
        items={queued.filter(({ kind }) => kind === "upload")}
        isSending={outbox.isSending}
        decide={(item, what) =>
          void (what === "discard" ? outbox.discard(item.id) : outbox.send(item.id))
        }
      />
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
