/**
 * The viewer of a small screen: one view at a time. The preview comes first; full pixels are asked
 * for when the reader wants to see more than it shows, as they cost megabytes on a weak line. One
 * film is in memory, and its canvas is no larger than the screen.
 */

import type { AiImage, Exam, ExamImage, Voi } from "../exam";
import {
  type Camera,
  fitScale,
  HOME,
  hangImage,
  type PaneSize,
  pannedBy,
  place,
  zoomedAt,
} from "../geometry/camera";
import { type Fetch, makeFetchQueue, overHttp, persistent, URGENCY } from "../loading/fetch_queue";
import { gated } from "../loading/gate";
import { firstFrame } from "../loading/prefetch";
import type { Words } from "../messages/text";
import { findingShapes } from "../overlay/shapes";
import { type PocketView, pocketViews } from "../pocket_views";
import { type PaneScene, type Shown, toPane } from "../scene";
import { openExam } from "../state";
import { NO_TOUCH, type TouchAct } from "../tools/touch";
import { adjusted } from "../window";
import { type CornerLine, upperLines } from "./corner";
import { element, svgElement } from "./dom";
import { makeFilmView } from "./film_view";
import { drawShapes } from "./overlay_svg";
import { pocketBar } from "./pocket_bar";
import { listenToTouch } from "./touch";

export interface PocketOptions {
  readonly words: Words;
  readonly fetch: Fetch;
  /** Full pixels are asked for at once: the line is good, and costs nothing. */
  readonly isLineGood: boolean;
}

export interface PocketHandle {
  open(exam: Exam): void;
  dispose(): void;
}

/** Compressed previews and two or three frames; a phone has little memory. */
const CACHE_BYTES = 24e6;
/** More device pixels than two for one of CSS cost memory, and nobody sees them. */
const MOST_RATIO = 2;
const TAPPED_ZOOM = 2.5;
const MOST_ZOOM = 12;

export function mountPocket(root: HTMLElement, options: PocketOptions): PocketHandle {
  const { words } = options;
  const gate = gated(makeFetchQueue(CACHE_BYTES, persistent(overHttp(options.fetch), [800])));
  const film = makeFilmView(gate.queue, { changed: () => draw(), drawn: () => undefined });
  let exam: Exam | null = null;
  let views: readonly PocketView[] = [];
  let at = 0;
  let camera: Camera = HOME;
  let voi: Voi | null = null;
  let showsOutlines = true;

  const host = element("div", { class: "pocket-film" });
  const svg = svgElement("svg", { class: "shapes", "aria-hidden": "true" });
  const corner = element("div", { class: "pocket-corner", "aria-live": "polite" });
  const missing = element("p", { class: "pocket-missing" });
  const stage = element("div", { class: "pocket-stage" }, host, svg, corner, missing);
  const bar = pocketBar(words, {
    step,
    whole: () => reset(),
    full: () => wantPixels(),
    outlines() {
      showsOutlines = !showsOutlines;
      draw();
    },
  });
  root.classList.add("mammolens-viewer", "mammolens-pocket");
  root.lang = words.language;
  root.tabIndex = 0;
  root.setAttribute("role", "region");
  root.setAttribute("aria-label", words.say("viewer.label"));
  root.replaceChildren(stage, bar.element);
  host.append(film.canvas);
  const resized = new ResizeObserver(() => draw());
  resized.observe(stage);
  root.addEventListener("keydown", onKey);
  listenToTouch(stage, {
    state: NO_TOUCH,
    isZoomed: () => camera.zoom > 1.01,
    act,
  });

  const ratio = () => Math.min(window.devicePixelRatio, MOST_RATIO);
  const size = (): PaneSize => ({
    width: Math.max(1, Math.round(stage.clientWidth * ratio())),
    height: Math.max(1, Math.round(stage.clientHeight * ratio())),
  });
  const hungNow = () => {
    const image = views[at]?.image ?? null;
    return image === null ? null : hangImage(image, "px", "picture");
  };

  function show(to: number): void {
    at = Math.min(Math.max(to, 0), views.length - 1);
    camera = HOME;
    gate.close();
    if (options.isLineGood) gate.open();
    const hung = hungNow();
    voi = hung?.image.voi[0] ?? null;
    if (hung !== null) film.load(hung, firstFrame(hung.image));
    draw();
    preload();
  }

  /** The previews of all views, so that a swipe shows the next one at once. */
  function preload(): void {
    for (const { image } of views) {
      if (image === null) continue;
      const { url } = image.preview;
      gate.queue.request(url, "image/jpeg, image/png", URGENCY.nextExam).catch(() => undefined);
    }
  }

  function step(by: 1 | -1): void {
    if (at + by >= 0 && at + by < views.length) show(at + by);
  }

  function reset(): void {
    camera = HOME;
    voi = views[at]?.image?.voi[0] ?? null;
    draw();
  }

  function wantPixels(): void {
    gate.open();
    draw();
  }

  function act(one: TouchAct): void {
    const hung = hungNow();
    if (one.kind === "step") {
      step(one.by);
      return;
    }
    if (hung === null || voi === null) return;
    const fit = fitScale([{ size: size(), hung }]);
    const zoomTo = (zoom: number, x: number, y: number) => {
      const point = [x * ratio(), y * ratio()] as const;
      camera = zoomedAt(camera, fit, size(), hung, point, Math.min(Math.max(zoom, 1), MOST_ZOOM));
      if (camera.zoom <= 1) camera = HOME;
    };
    switch (one.kind) {
      case "pan":
        if (camera.zoom > 1) {
          camera = pannedBy(camera, fit, hung, one.dx * ratio(), one.dy * ratio());
        }
        break;
      case "zoom":
        zoomTo(camera.zoom * one.factor, one.x, one.y);
        break;
      case "toggle":
        if (camera.zoom > 1) camera = HOME;
        else zoomTo(TAPPED_ZOOM, one.x, one.y);
        break;
      case "window":
        voi = adjusted(voi, one.across, one.down);
        gate.open();
        break;
    }
    // More than the preview has: from here on its pixels would be seen.
    const { columns } = hung.image.preview;
    if (fit * camera.zoom * hung.width > 1.2 * columns) gate.open();
    draw();
  }

  function onKey(event: KeyboardEvent): void {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (by === undefined) return;
    step(by as 1 | -1);
    event.preventDefault();
  }

  function draw(): void {
    const view = views[at];
    if (view === undefined || exam === null) return;
    const { width, height } = size();
    const screen = { width, height, ratio: ratio() };
    const hung = hungNow();
    host.hidden = hung === null;
    const found = hung && aiOf(exam, hung.image.sopInstanceUid);
    bar.show({
      place: words.say("pocket.place", { n: at + 1, of: views.length }),
      isFirst: at === 0,
      isLast: at === views.length - 1,
      hasOutlines: (found?.findings.length ?? 0) > 0,
      showsOutlines,
      canLoad: hung !== null && film.progress.kind !== "pixels" && !gate.isOpen,
    });
    if (hung === null || voi === null) {
      drawShapes(svg, [], screen);
      fill(corner, []);
      missing.textContent = missingWords(view, words);
      return;
    }
    missing.textContent = "";
    const fit = fitScale([{ size: screen, hung }]);
    const placement = place(camera, fit, screen, hung);
    const shown: Shown = { image: hung.image, hung, placement };
    film.draw({ placement, grey: greyOf(hung.image, voi), quality: "exact", magnifier: null });
    host.style.width = `${width / ratio()}px`;
    host.style.height = `${height / ratio()}px`;
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    const rect = { ...screen, left: 0, top: 0 };
    const pane = { index: 0, place: view.place, rect, shown };
    fill(corner, cornerLines(exam, pane, shown));
    const strength = (score: number) =>
      words.say("ai.strength", { strength: words.number(score, 1) });
    const sheet = {
      ...screen,
      outer: hung.hanging.chestWall === "left" ? ("right" as const) : ("left" as const),
      toPane: (point: readonly [number, number]) => toPane(shown, point),
    };
    drawShapes(svg, found && showsOutlines ? findingShapes(found, strength, sheet) : [], screen);
  }

  /** As in the large viewer; a preview that nothing follows by itself is called that. */
  function cornerLines(of: Exam, pane: PaneScene, shown: Shown): readonly CornerLine[] {
    const { progress } = film;
    const isEnough = progress.kind === "preview" && !gate.isOpen;
    const said = isEnough
      ? ({ kind: "pixels", frame: firstFrame(shown.image) } as const)
      : progress;
    const lines = upperLines(openExam(of, null), pane, shown, said, words);
    return isEnough ? [...lines, { text: words.say("pocket.preview"), tone: "warning" }] : lines;
  }

  return {
    open(to) {
      const isSame = exam !== null && exam.id === to.id;
      exam = to;
      views = pocketViews(to);
      if (isSame) draw();
      else show(0);
    },
    dispose() {
      resized.disconnect();
      root.removeEventListener("keydown", onKey);
      film.dispose();
    },
  };
}

function greyOf({ modality, photometric, presentationLutShape, padding }: ExamImage, voi: Voi) {
  return { modality, photometric, presentationLutShape, padding, voi, invert: false };
}

function aiOf({ ai }: Exam, uid: string): AiImage | null {
  if (ai.state !== "available") return null;
  return ai.images.find((image) => image.sopInstanceUid === uid) ?? null;
}

function missingWords({ place: { laterality, viewPosition, refused } }: PocketView, words: Words) {
  const view = `${laterality ?? "?"} ${viewPosition ?? "?"}`;
  const reasons = refused.map(({ reason }) => reason).join("; ");
  return refused.length === 0
    ? words.say("pocket.missing", { view })
    : words.say("pocket.refused", { view, reasons });
}

function fill(corner: HTMLElement, lines: readonly CornerLine[]): void {
  const key = JSON.stringify(lines);
  if (corner.dataset.key === key) return;
  corner.dataset.key = key;
  corner.replaceChildren(...lines.map((line) => element("div", { class: line.tone }, line.text)));
}
