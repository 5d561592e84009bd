/** Files that were chosen go into the queue of this device, smaller where that is possible. */

import { makeSmaller } from "../../recompress/client";
import { asProblem } from "../api/problem";
import { compresses } from "../logic/compression";
import type { NamedFile } from "../logic/files";
import { orFull } from "./full";
import type { Outbox } from "./outbox";
import type { UploadItem } from "./queue_items";
import { fileItem, keepFile } from "./send_upload";
import type { OpenVault } from "./vault";

export interface Keeping {
  /** The file that is made smaller now. */
  readonly now: string | null;
  /** How many became smaller, and their bytes before and after. */
  readonly count: number;
  readonly from: number;
  readonly to: number;
  readonly notKept: readonly string[];
}

/** What is sent of a file: a smaller form without loss, if the person wants that and there is one. */
export async function forSending(file: Blob, smaller = makeSmaller): Promise<Blob> {
  return compresses() ? (await smaller(file)).file : file;
}

/**
 * Keeps files and begins to send them. Gives those for which the device has no room: they are not in
 * the queue.
 */
export async function keepFiles(
  vault: OpenVault,
  outbox: Pick<Outbox, "items" | "add" | "discard" | "send">,
  files: readonly NamedFile[],
  site: number | null,
  watch: (keeping: Keeping) => void,
  smaller: typeof makeSmaller = makeSmaller,
): Promise<readonly NamedFile[]> {
  let keeping: Keeping = { now: null, count: 0, from: 0, to: 0, notKept: [] };
  const say = (changes: Partial<Keeping>) => {
    keeping = { ...keeping, ...changes };
    watch(keeping);
  };
  const rest: NamedFile[] = [];
  const leave = (chosen: NamedFile) => {
    rest.push(chosen);
    say({ notKept: [...keeping.notKept, chosen.name] });
  };
  /** All are named on the disk before the first is worked on: a tab that is killed loses no name. */
  const items: (readonly [NamedFile, UploadItem])[] = [];
  for (const chosen of files) {
    const item = fileItem(chosen.file, chosen.name, site, chosen.facts);
    if (await hasRoom(() => outbox.add(item))) items.push([chosen, item]);
    else leave(chosen);
  }
  for (const [chosen, item] of items) {
    if (compresses()) say({ now: chosen.name });
    const sends = await forSending(chosen.file, smaller);
    say({ now: null });
    // Discarded meanwhile.
    if (!outbox.items.some(({ id }) => id === item.id)) continue;
    if (await hasRoom(() => keepFile(vault, item, sends, outbox.add))) {
      if (sends !== chosen.file) {
        const [from, to] = [keeping.from + chosen.file.size, keeping.to + sends.size];
        say({ count: keeping.count + 1, from, to });
      }
      void outbox.send();
    } else {
      await outbox.discard(item.id).catch(() => undefined);
      leave(chosen);
    }
  }
  return rest;
}

async function hasRoom(act: () => Promise<unknown>): Promise<boolean> {
  try {
    await orFull(act);
    return true;
  } catch (error) {
    if (asProblem(error).code === "storage_full") return false;
    throw error;
  }
}
