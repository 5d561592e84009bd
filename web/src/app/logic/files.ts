/** Files that were chosen or dropped: folders are walked, names keep the path within the folder. */

export interface NamedFile {
  readonly file: File;
  /** Path below the chosen folder, with "/" between. */
  readonly name: string;
  /** What else the server is told of it, such as that it is a photograph of a film. */
  readonly facts?: Readonly<Record<string, string>>;
}

/** Files that no camera or archive writes for us: they are left out, and counted. */
const LEFT_OUT = /(^|\/)(\.[^/]*|Thumbs\.db|desktop\.ini|__MACOSX\/.*)$/i;

export function isLeftOut(name: string): boolean {
  return LEFT_OUT.test(name);
}

/** Brands of an ISO base media file (ISO/IEC 23008-12) that hold photographs of iPhones. */
const HEIC = /^(heic|heix|hevc|heim|heis|mif1|msf1)$/;

/** Whether a file is a HEIC photograph, which neither the server nor most browsers read. */
export async function isHeic(file: Blob): Promise<boolean> {
  const head = await file
    .slice(4, 12)
    .text()
    .catch(() => "");
  return head.startsWith("ftyp") && HEIC.test(head.slice(4));
}

export function fromInput(files: Iterable<File>): readonly NamedFile[] {
  return [...files].map((file) => ({ file, name: file.webkitRelativePath || file.name }));
}

/** Walks what was dropped. Entries have to be taken before the event ends, so this starts at once. */
export async function fromDrop(data: DataTransfer): Promise<readonly NamedFile[]> {
  const entries = [...data.items].map((item) => item.webkitGetAsEntry?.() ?? null);
  const plain = [...data.files];
  const walked = await Promise.all(
    entries.map((entry, i) => {
      if (entry !== null) return walk(entry, "");
      return plain[i] === undefined ? [] : [{ file: plain[i], name: plain[i].name }];
    }),
  );
  return walked.flat();
}

async function walk(entry: FileSystemEntry, above: string): Promise<readonly NamedFile[]> {
  const name = above === "" ? entry.name : `${above}/${entry.name}`;
  if (entry.isFile) {
    const file = await new Promise<File>((done, fail) =>
      (entry as FileSystemFileEntry).file(done, fail),
    );
    return [{ file, name }];
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  const found: NamedFile[] = [];
  for (;;) {
    const entries = await new Promise<FileSystemEntry[]>((done, fail) =>
      reader.readEntries(done, fail),
    );
    if (entries.length === 0) return found;
    for (const one of entries) found.push(...(await walk(one, name)));
  }
}

/** `1536` → `1.5 kB`, in the way of a language. */
export function sizeWords(bytes: number, language: string): string {
  const units = ["byte", "kilobyte", "megabyte", "gigabyte"] as const;
  const at = bytes < 1 ? 0 : Math.min(Math.floor(Math.log10(bytes) / 3), units.length - 1);
  return new Intl.NumberFormat(language, {
    style: "unit",
    unit: units[at],
    unitDisplay: "short",
    maximumFractionDigits: at === 0 ? 0 : 1,
  }).format(bytes / 1000 ** at);
}
