/** Sending exams in: files, folders or a zip, by choice or by drag and drop. */

import { type DragEvent, useEffect, useRef, useState, useSyncExternalStore } from "react";
import type { UploadsApi } from "../../api/uploads";
import { type Keeping, keepFiles } from "../../device/keep_files";
import { readablePicture } from "../../device/pictures";
import type { OpenVault } from "../../device/vault";
import { compresses, keepCompresses } from "../../logic/compression";
import {
  fromDrop,
  fromInput,
  isHeic,
  isLeftOut,
  type NamedFile,
  sizeWords,
} from "../../logic/files";
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
  const [heic, setHeic] = useState<readonly string[]>([]);
  const [keeping, setKeeping] = useState<Keeping | null>(null);
  const [smaller, setSmaller] = useState(compresses);
  const [isOver, setOver] = useState(false);
  /** Files that are chosen while others are being kept come after them. */
  const turn = useRef<Promise<unknown>>(Promise.resolve());
  const files = useRef<HTMLInputElement>(null);
  const folder = useRef<HTMLInputElement>(null);
  const site = chosen || (possible.length === 1 ? String(possible[0].id) : "");

  const add = async (found: readonly NamedFile[]) => {
    const named = found.filter(({ name }) => !isLeftOut(name));
    setLeftOut(found.length - named.length);
    const read = await Promise.all(named.map(decoded));
    setHeic(named.filter((_, n) => read[n] === null).map(({ name }) => name));
    const wanted = read.filter((one) => one !== null);
    const at = site === "" ? null : Number(site);
    if (device.vault === null) uploader.add(wanted, at);
    else keep(device.vault, wanted, at);
  };
  /** On a device that keeps data, files go by its queue: a closed tab or a new start loses none. */
  const keep = (vault: OpenVault, wanted: readonly NamedFile[], at: number | null) => {
    const act = () =>
      action.run(async () => {
        const rest = await keepFiles(vault, outbox, wanted, at, setKeeping);
        // They are in this page still: nothing is lost as long as it stays open.
        uploader.add(rest, at);
      });
    turn.current = turn.current.then(act, act);
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
      <label className="check">
        <input
          type="checkbox"
          checked={smaller}
          onChange={(event) => {
            keepCompresses(event.target.checked);
            setSmaller(event.target.checked);
          }}
        />
        {words.say("upload.compress")}
      </label>
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
            void add(fromInput(event.target.files ?? []));
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
            void add(fromInput(event.target.files ?? []));
            event.target.value = "";
          }}
        />
      </div>
      <PhotographForm
        isReady={site !== ""}
        send={(file, facts) =>
          void add([{ file, name: `${facts.photograph} ${file.name}`, facts }])
        }
      />
      <ProblemNote problem={action.problem} />
      {heic.length > 0 && (
        <p className="note note-bad" role="alert">
          {words.say("upload.heic", { names: heic.join(", ") })}
        </p>
      )}
      {device.state === "open" && <p className="quiet">{words.say("upload.kept")}</p>}
      {keeping !== null && <KeepingLines keeping={keeping} />}
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

/** A HEIC photograph as JPEG where the browser decodes it, else null; every other file as it is. */
async function decoded(one: NamedFile): Promise<NamedFile | null> {
  if (!(await isHeic(one.file))) return one;
  const file = await readablePicture(one.file);
  return file === null ? null : { ...one, file, name: `${one.name}.jpg` };
}

/** What is made smaller now, what came of it, and what found no room on this device. */
function KeepingLines({ keeping }: { keeping: Keeping }) {
  const { words } = useDesk();
  const { now, count, from, to, notKept } = keeping;
  return (
    <>
      {(now !== null || count > 0) && (
        <p className="quiet" role="status">
          {now === null
            ? words.say("upload.compressed", {
                n: count,
                from: sizeWords(from, words.locale),
                to: sizeWords(to, words.locale),
              })
            : words.say("upload.being-prepared", { name: now })}
        </p>
      )}
      {notKept.length > 0 && (
        <p className="note note-bad" role="alert">
          {words.say("upload.not-kept", { names: notKept.join(", ") })}
        </p>
      )}
    </>
  );
}
