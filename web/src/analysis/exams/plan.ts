/** Groups files into exams by their headers and names, as `mammolens.exams.plan`. */

import { type Caution, caution, doubt, mayShowBreast, Refusal, type Unreadable } from "../types";
import { readName } from "../words/names";
import { type DeviceFile, type HeaderInfo, identify, mayBeImage } from "./files";
import { identityCautions, identityOf, isPlaceholder } from "./identity";

/** The files of one exam before decoding; `unreadable` are files with a refused header. */
export interface ExamPlan {
  readonly patientId: string | null;
  readonly studyUid: string | null;
  readonly files: readonly DeviceFile[];
  readonly cautions: readonly Caution[];
  readonly unreadable: readonly Unreadable[];
}

interface Member {
  readonly file: DeviceFile;
  readonly info: HeaderInfo;
  readonly key: readonly (string | null)[];
  readonly patientId: string | null;
  readonly studyUid: string | null;
  readonly note: Caution | null;
}

const SEVERAL_PATIENTS = doubt(
  "two_patients_in_study",
  "the images of this study belong to more than one patient; this result uses the images of one",
);
const NO_STUDY_UID = caution(
  "missing_study_uid",
  "StudyInstanceUID is missing; images were grouped by patient, date and folder",
);
const NO_PATIENT_ID = doubt(
  "patient_unknown",
  "StudyInstanceUID and PatientID are missing; images were grouped by name, dates, age, accession" +
    " number and folder",
);

/** Plans in the order of their first file, and the files that belong to no exam. */
export async function planExams(
  files: readonly DeviceFile[],
): Promise<[plans: ExamPlan[], unplaced: Unreadable[]]> {
  const groups = new Map<string, Member[]>();
  const unplaced: Unreadable[] = [];
  for (const file of files) {
    let bytes: Uint8Array | null = null;
    let info: HeaderInfo;
    try {
      bytes = await file.bytes();
      info = identify(bytes, file.name);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      const kind = bytes === null || mayBeImage(bytes, file.name) ? "unknown" : "document";
      unplaced.push({ ...unreadable(file.name, error, null), kind });
      continue;
    }
    const member = examOf(file, info);
    if (info.refusal !== null && member.key[0] === "alone") {
      unplaced.push(unreadable(file.name, info.refusal, info));
      continue;
    }
    const key = JSON.stringify(member.key);
    groups.set(key, [...(groups.get(key) ?? []), member]);
  }
  const shared = studiesOfSeveral([...groups.values()]);
  const suspects = unplaced.filter((item) => mayShowBreast(item.kind)).map((u) => folderOf(u.path));
  const plans = [...groups.values()].map((members) => {
    return withUnplacedDoubt(planOf(members, shared), suspects);
  });
  return [plans, unplaced];
}

function examOf(file: DeviceFile, info: HeaderInfo): Member {
  const { ref, header } = info;
  const member = (
    key: readonly (string | null)[],
    patientId: string | null,
    studyUid: string | null,
    note: Caution | null,
  ): Member => ({ file, info, key, patientId, studyUid, note });
  if (!header.isDicom) {
    const folder = folderOf(file.name);
    if (ref.patientId !== null)
      return member(["picture", ref.patientId, folder], ref.patientId, null, null);
    const name = readName(file.name).case;
    if (name === null) return member(["alone", file.name], null, null, null);
    const text = "images were grouped by file names; the patient is unknown";
    return member(["name", name, folder], null, null, caution("grouped_by_name", text));
  }
  const named = readName(ref.patientId ?? "");
  if (named.convention === "cbis" && named.patientId !== null) {
    const text = "each CBIS-DDSM view has its own PatientID and study; images were grouped by case";
    const note = caution("cbis_case_grouping", text);
    return member(["cbis", named.patientId], named.patientId, null, note);
  }
  const [patient, note] = patientOf(ref.patientId, file.name);
  const identity = identityOf({ ...ref, patientId: patient }, header);
  if (ref.studyUid !== null) {
    return member(["study", ref.studyUid, ...identity], patient, ref.studyUid, note);
  }
  if (!identity.some(Boolean) || (patient === null && info.refusal !== null)) {
    return member(["alone", file.name], null, null, null);
  }
  const key = ["patient", ...identity, header.studyDate, folderOf(file.name)];
  return member(key, patient, null, patient ? NO_STUDY_UID : NO_PATIENT_ID);
}

function patientOf(patientId: string | null, name: string): [string | null, Caution | null] {
  if (!isPlaceholder(patientId)) return [patientId, null];
  const named = readName(name).patientId;
  if (named === null) return [null, null];
  const text = "PatientID is anonymous; the patient was read from the file name";
  return [named, caution("patient_from_name", text)];
}

function folderOf(name: string): string {
  const at = name.lastIndexOf("/");
  return at < 0 ? "." : name.slice(0, at);
}

/** Study UIDs that images of more than one patient have; documents are not counted. */
function studiesOfSeveral(groups: readonly Member[][]): Set<string> {
  const counts = new Map<string, number>();
  for (const members of groups) {
    const uid = members[0].studyUid;
    if (uid === null || members.every(({ info }) => info.kind === "document")) continue;
    counts.set(uid, (counts.get(uid) ?? 0) + 1);
  }
  return new Set([...counts].filter(([, count]) => count > 1).map(([uid]) => uid));
}

function planOf(members: readonly Member[], shared: ReadonlySet<string>): ExamPlan {
  const [first] = members;
  const notes = members.map(({ note }) => note).filter((note) => note !== null);
  if (first.studyUid !== null && shared.has(first.studyUid)) notes.push(SEVERAL_PATIENTS);
  if (first.key[0] !== "cbis") {
    const images = members.map(({ info }) => info).filter(({ kind }) => kind !== "document");
    notes.push(...identityCautions(images));
  }
  const cautions = [...new Map(notes.map((note) => [JSON.stringify(note), note])).values()];
  const name = ({ file }: Member) => file.name;
  const ordered = [...members].sort((a, b) => (name(a) < name(b) ? -1 : name(a) > name(b) ? 1 : 0));
  return {
    patientId: first.patientId,
    studyUid: first.studyUid,
    files: ordered.filter(({ info }) => info.refusal === null).map(({ file }) => file),
    cautions,
    unreadable: ordered.flatMap(({ file, info }) =>
      info.refusal === null ? [] : [unreadable(file.name, info.refusal, info)],
    ),
  };
}

/** Doubts an exam if files of unknown exams in its folders may be its mammograms. */
function withUnplacedDoubt(plan: ExamPlan, suspects: readonly string[]): ExamPlan {
  const names = [...plan.files.map((f) => f.name), ...plan.unreadable.map((u) => u.path)];
  const folders = new Set(names.map(folderOf));
  const count = suspects.filter((folder) => folders.has(folder)).length;
  if (!count) return plan;
  const text = `${count} unreadable files in the same folder may belong to this exam`;
  return { ...plan, cautions: [...plan.cautions, doubt("unplaced_file", text)] };
}

export function unreadable(path: string, error: Refusal, info: HeaderInfo | null): Unreadable {
  const { name, message } = error;
  const kind = info?.kind ?? "unknown";
  return { path, error: name, message, kind, ref: info?.ref ?? null, header: info?.header ?? null };
}
