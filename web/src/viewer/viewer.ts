/**
 * The viewer: an exam in an element of the page. Everything it decides is in the pure modules; here
 * states become pictures, and events become states.
 */

import { COMMANDS, type CommandId, inField } from "./commands";
import type { Exam, ExamImage } from "./exam";
import { loadExam, preloadExam, type ReadExam } from "./loading/exams";
import {
  type Fetch,
  type FetchQueue,
  makeFetchQueue,
  overHttp,
  persistent,
  URGENCY,
} from "./loading/fetch_queue";
import { neighbourFrames, nextExamUrls, stackFrames } from "./loading/prefetch";
import type { Words } from "./messages/text";
import type { MagnifierOrder } from "./render/protocol";
import type { Quality } from "./resample";
import { type PaneScene, type Scene, type Shown, sceneOf } from "./scene";
import { lookOf, type OtherMark, openExam, type ViewerState, withMarkShown } from "./state";
import { moveCursor, pressKey } from "./tools/gestures";
import { commandOf } from "./tools/keys";
import type { Mark } from "./tools/marks";
import { readCalibration, saveCalibration } from "./ui/calibration_store";
import { openCalibration, openHelp } from "./ui/dialogs";
import { element } from "./ui/dom";
import { makeFilmView } from "./ui/film_view";
import { makeFrameLoop } from "./ui/frame_loop";
import { makePane, type Pane } from "./ui/pane";
import { listenToPointer } from "./ui/pointer";
import { makeSidebar } from "./ui/sidebar";
import { makeViewPool } from "./ui/view_pool";

export interface ViewerOptions {
  readonly words: Words;
  /** The reader leaves the exam, by the keyboard or after its last step. */
  leave?(direction: "next" | "previous"): void;
  /** The reader's marks changed. */
  marksChanged?(marks: readonly Mark[]): void;
  /** How exams are read and pictures fetched, where the page has its own way of asking. */
  readonly readExam?: ReadExam;
  readonly fetch?: Fetch;
  /** A pane has drawn; for measurements. */
  drawn?(shows: "nothing" | "preview" | "pixels"): void;
}

export interface OpenOptions {
  /** Marks that were drawn before. */
  readonly marks?: readonly Mark[];
  /** Where the `Exam` that is read next lies; it is fetched ahead when this one is complete. */
  readonly next?: string | null;
}

export interface ViewerHandle {
  /** Opens the exam at a URL. What was asked for before and has not come is stopped. */
  open(url: string, options?: OpenOptions): Promise<void>;
  readonly state: ViewerState | null;
  /**
   * Takes the same exam with other words about it, such as the AI's once it may be seen. Pictures,
   * step and marks stay.
   */
  refine(exam: Exam): void;
  /** Shows marks of other readers beside the own ones. */
  showOthers(marks: readonly OtherMark[]): void;
  /** Selects a mark and shows the step in which it can be seen. */
  showMark(id: string): void;
  run(command: CommandId): void;
  change(state: ViewerState, moving: boolean): void;
  dispose(): void;
}

/** Right and left, CC and MLO. */
const USUAL_VIEWS = 4;

/** Compressed frames of this exam, its prior and the next one: some 10 MB each. */
const CACHE_BYTES = 120e6;

export function mountViewer(root: HTMLElement, options: ViewerOptions): ViewerHandle {
  const { words } = options;
  const readExam = options.readExam ?? loadExam;
  const fetching: Fetch = options.fetch ?? ((url, init) => fetch(url, init));
  const queue: FetchQueue = makeFetchQueue(CACHE_BYTES, persistent(overHttp(fetching)));
  const area = element("div", { class: "area" });
  const panes: Pane[] = [];
  let state: ViewerState | null = null;
  let scene: Scene | null = null;
  let next: string | null = null;
  let ahead = "";
  let marks = 0;
  let opened = 0;

  const loop = makeFrameLoop(draw);
  const pool = makeViewPool(() =>
    makeFilmView(queue, {
      changed: () => loop.request(false),
      drawn: (shows) => {
        options.drawn?.(shows);
        if (shows === "pixels") fetchAhead();
      },
    }),
  );
  pool.warm(USUAL_VIEWS);
  const host = {
    get state() {
      return state as ViewerState;
    },
    get scene() {
      return scene as Scene;
    },
    run,
    change,
    newMarkId: () => `${Date.now().toString(36)}-${(marks++).toString(36)}`,
    openHelp: () => openHelp(root, words),
    openCalibration: () =>
      openCalibration(root, words, state?.screen ?? null, (screen) => {
        saveCalibration(screen);
        if (state !== null) change({ ...state, screen }, false);
      }),
  };
  const sidebar = makeSidebar(host, words);

  root.classList.add("mammolens-viewer");
  root.lang = words.language;
  root.tabIndex = 0;
  root.setAttribute("role", "region");
  root.setAttribute("aria-label", words.say("viewer.label"));
  root.replaceChildren(sidebar.element, area);
  const resized = new ResizeObserver(() => {
    // Fields of another size lie elsewhere: those of before would leave gaps.
    if (state !== null) state = inField(state, sceneOf(state, sizeOf(area)));
    refresh(false);
  });
  resized.observe(area);
  root.addEventListener("keydown", onKey);
  listenToPointer(area, {
    get state() {
      return host.state;
    },
    get scene() {
      return host.scene;
    },
    change,
    newMarkId: host.newMarkId,
  });

  async function open(url: string, { marks: drawn, next: following }: OpenOptions = {}) {
    const mine = ++opened;
    const fit = state?.fit ?? "picture";
    queue.stop(URGENCY.preview);
    // From now on nothing of the exam before is shown or marked, also if this one cannot be opened.
    close();
    const exam = await readExam(url);
    if (mine !== opened) return;
    next = following ?? null;
    ahead = "";
    sidebar.element.hidden = false;
    state = openExam(exam, null, { marks: drawn ?? [], screen: readCalibration(), fit });
    refresh(false);
    await openPrior(exam, mine);
  }

  async function openPrior({ priors }: Exam, mine: number): Promise<void> {
    const [link] = priors;
    if (link === undefined) return;
    const loaded = await readExam(link.url).then(
      (prior) => ({ prior, priorProblem: null }),
      (error: Error) => ({ prior: null, priorProblem: error.message }),
    );
    if (mine === opened && state !== null) change({ ...state, ...loaded }, false);
  }

  function close(): void {
    state = null;
    scene = null;
    for (const pane of panes.splice(0)) pane.element.remove();
    sidebar.element.hidden = true;
  }

  function change(to: ViewerState, moving = false): void {
    const before = state;
    if (before === null) return;
    state = to;
    const moved =
      before.step !== to.step ||
      before.showPrior !== to.showPrior ||
      before.fit !== to.fit ||
      before.chosen !== to.chosen;
    if (moved) state = inField(to, sceneOf(to, sizeOf(area)));
    if (before.marks.marks !== to.marks.marks) options.marksChanged?.(to.marks.marks);
    if (to.leave !== null) {
      const direction = to.leave;
      state = { ...state, leave: null };
      options.leave?.(direction);
    }
    refresh(moving || before.camera !== to.camera || before.ownCameras !== to.ownCameras);
  }

  function run(command: CommandId): void {
    if (state !== null && scene !== null) change(COMMANDS[command](state, scene), false);
  }

  function onKey(event: KeyboardEvent): void {
    if (state === null || scene === null) return;
    const target = event.target as HTMLElement;
    if (target.closest("dialog") !== null) return;
    if (target.closest("input, select") !== null && event.key !== "Escape") return;
    // A button keeps Space and Enter, or the keyboard could not press it.
    if (target.closest("button") !== null && (event.key === " " || event.key === "Enter")) return;
    const drawing = !["window", "pan", "zoom"].includes(state.tool);
    const arrow = ARROWS[event.key];
    if (drawing && arrow !== undefined && !event.ctrlKey && !event.metaKey) {
      const far = event.shiftKey ? 40 : 6;
      change(moveCursor(state, scene, [arrow[0] * far, arrow[1] * far]), false);
    } else if (drawing && event.key === "Enter" && state.cursor !== null) {
      change(pressKey(state, scene, host.newMarkId()), false);
    } else {
      const command = commandOf(event);
      if (command === null) return;
      run(command);
    }
    event.preventDefault();
  }

  function refresh(moving: boolean): void {
    if (state === null) return;
    scene = sceneOf(state, sizeOf(area));
    loop.request(moving);
  }

  function draw(quality: Quality): void {
    if (state === null || scene === null) return;
    while (panes.length < scene.panes.length) {
      const pane = makePane(words);
      panes.push(pane);
      area.append(pane.element);
    }
    panes.forEach((pane, i) => {
      pane.element.hidden = i >= (scene as Scene).panes.length;
    });
    const shown = scene.panes.filter((pane) => pane.shown !== null);
    const uids = shown.map((pane) => (pane.shown as Shown).image.sopInstanceUid);
    const views = pool.take(uids, picturesOf(state));
    for (const pane of scene.panes) {
      const view = pane.shown === null ? null : views[shown.indexOf(pane)];
      if (pane.shown !== null && view) {
        const { image, hung, placement } = pane.shown;
        const look = lookOf(state, image);
        view.load(hung, look.frame);
        const magnifier = magnifierOf(state, pane, pane.shown);
        view.draw({ placement, grey: greyOf(image, state), quality, magnifier });
      }
      panes[pane.index].show(state, scene, pane, view ?? null);
    }
    sidebar.show(state, scene);
  }

  /** When all that is shown is there: the neighbours, then the next exam. */
  function fetchAhead(): void {
    if (state === null || scene === null) return;
    const shown = scene.panes.flatMap((pane) => (pane.shown === null ? [] : [pane.shown.image]));
    const complete = shown.every((image) =>
      pool.views.some(
        (view) => view.holds === image.sopInstanceUid && view.progress.kind === "pixels",
      ),
    );
    const stack = shown.find((image) => image.frames > 1);
    const frame = stack === undefined ? 0 : lookOf(state, stack).frame;
    const { exam, step, prior: earlier } = state;
    const key = [exam.id, step, earlier?.id, stack?.sopInstanceUid, frame].join();
    if (!complete || key === ahead) return;
    ahead = key;
    const near = stack === undefined ? [] : stackFrames(stack, frame, 5);
    const prior = state.prior === null ? [] : nextExamUrls(state.prior).frames;
    const later = neighbourFrames(state.steps, state.step);
    preloadExam(queue, [...near, ...later, ...prior], next, readExam);
  }

  return {
    open,
    get state() {
      return state;
    },
    refine(exam) {
      if (state === null || state.exam.id !== exam.id) return;
      change({ ...state, exam: { ...exam, images: state.exam.images } });
    },
    showOthers(others) {
      if (state !== null) change({ ...state, others });
    },
    showMark(id) {
      if (state !== null) change(withMarkShown(state, id));
    },
    run,
    change,
    dispose() {
      opened += 1;
      queue.stop(URGENCY.preview);
      loop.stop();
      resized.disconnect();
      pool.dispose();
      root.removeEventListener("keydown", onKey);
      root.replaceChildren();
      state = null;
    },
  };
}

const ARROWS: Readonly<Record<string, readonly [number, number]>> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};

/** Pictures that a later step of this exam may show. */
function picturesOf({ exam, prior, showPrior }: ViewerState): ReadonlySet<string> {
  const images = [...exam.images, ...((showPrior && prior?.images) || [])];
  return new Set(images.map((image) => image.sopInstanceUid));
}

function sizeOf(area: HTMLElement): { width: number; height: number } {
  const ratio = window.devicePixelRatio;
  return {
    width: Math.max(1, Math.round(area.clientWidth * ratio)),
    height: Math.max(1, Math.round(area.clientHeight * ratio)),
  };
}

function greyOf(image: ExamImage, state: ViewerState) {
  const { modality, photometric, presentationLutShape, padding } = image;
  const { voi } = lookOf(state, image);
  return { modality, photometric, presentationLutShape, padding, voi, invert: state.invert };
}

/** Twice the size that the picture has, and at least one pixel per pixel. */
function magnifierOf(state: ViewerState, pane: PaneScene, shown: Shown): MagnifierOrder | null {
  const byKey = state.tool === "magnifier" && state.cursor !== null && pane.index === state.active;
  const at = byKey ? state.cursor : state.magnifier?.pane === pane.index && state.magnifier.at;
  if (!at) return null;
  const { scaleX, scaleY } = shown.placement;
  const times = Math.max(2, 1 / scaleX);
  const radius = Math.round(0.19 * Math.min(pane.rect.height, 2 * pane.rect.width));
  return { x: at[0], y: at[1], radius, scaleX: scaleX * times, scaleY: scaleY * times };
}
