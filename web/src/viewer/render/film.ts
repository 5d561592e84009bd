/**
 * One picture in a worker: its pyramid, and the greys that were last drawn of it. No browser needed.
 *
 * The resampled picture is kept in 16 bit, so that another window needs only the table.
 */

import type { Plane } from "../decode/raw";
import { turnPlane } from "../geometry/turn_plane";
import { applyModalityTable, greyTable, rgbaTable } from "../grey";
import { buildPyramid, type Pyramid } from "../pyramid";
import { type Placement, type Region, resample } from "../resample";
import type { DrawOrder, FrameOrder, GreyOrder, MagnifierOrder } from "./protocol";

export interface Film {
  readonly pyramid: Pyramid;
  readonly bias: number;
  /** What `values` holds; null before the first draw. */
  drawn: { readonly key: string; readonly region: Region; readonly values: Uint16Array } | null;
  table: { readonly key: string; readonly rgba: Uint32Array } | null;
}

export const BLACK = 0xff000000;

/** Takes the plane over: where it has to be turned its memory is given back at once. */
export function makeFilm(plane: Plane, order: FrameOrder): Film {
  const values = applyModalityTable(plane, order.modality);
  const hung = turnPlane(values, order.turn);
  for (const earlier of new Set([plane, values])) {
    if (earlier.data !== hung.data) giveBack(earlier.data);
  }
  return { pyramid: buildPyramid(hung), bias: hung.bias, drawn: null, table: null };
}

/** Ends a film. A collector would free its 35 MB much later, and memory would grow with each exam. */
export function freeFilm(film: Film): void {
  for (const { plane } of film.pyramid) giveBack(plane.data);
  if (film.drawn !== null) giveBack(film.drawn.values);
  film.drawn = null;
}

/**
 * Frees the memory of an array, which cannot be used any more. Only for arrays that were made here:
 * of one that came in a message or an answer the browser keeps the memory but counts it as freed,
 * and its collector then waits too long (measured: 1.5 GB after 20 exams instead of 1 GB).
 */
function giveBack({ buffer }: { readonly buffer: ArrayBufferLike }): void {
  if (buffer instanceof ArrayBuffer && !buffer.detached) buffer.transfer(0);
}

/** Draws the film into `width` × `height` RGBA words; around the picture is black. */
export function drawFilm(film: Film, order: DrawOrder, out: Uint32Array): void {
  const { placement } = order;
  const { region, values } = resampled(film, order);
  const rgba = tableFor(film, order.grey);
  if (!covers(region, placement)) out.fill(BLACK);
  for (let y = region.y0; y < region.y1; y++) {
    const end = y * placement.width + region.x1;
    for (let i = y * placement.width + region.x0; i < end; i++) out[i] = rgba[values[i]];
  }
  if (order.magnifier !== null) magnify(film, order.magnifier, placement, rgba, out);
}

function resampled(film: Film, order: DrawOrder): { region: Region; values: Uint16Array } {
  const { width, height, scaleX, scaleY, offsetX, offsetY } = order.placement;
  const where = [width, height, scaleX, scaleY, offsetX, offsetY].join();
  // What was drawn exactly need not be drawn again while only the window moves.
  const exact = `exact ${where}`;
  const key = `${order.quality} ${where}`;
  if (film.drawn !== null && (film.drawn.key === key || film.drawn.key === exact)) {
    return film.drawn;
  }
  const size = width * height;
  const values = film.drawn?.values.length === size ? film.drawn.values : new Uint16Array(size);
  const region = resample(film.pyramid, order.placement, order.quality, values);
  film.drawn = { key, region, values };
  return film.drawn;
}

function tableFor(film: Film, grey: GreyOrder): Uint32Array {
  const key = JSON.stringify([grey.voi, grey.invert]);
  if (film.table?.key !== key) {
    film.table = { key, rgba: rgbaTable(greyTable({ ...grey, bias: film.bias })) };
  }
  return film.table.rgba;
}

function covers(region: Region, { width, height }: Placement): boolean {
  return region.x0 === 0 && region.y0 === 0 && region.x1 === width && region.y1 === height;
}

const RIM = 0xffb0b0b0;

/** A disc around the pointer in which the picture is larger; its centre is the point beneath. */
function magnify(
  film: Film,
  lens: MagnifierOrder,
  placement: Placement,
  rgba: Uint32Array,
  out: Uint32Array,
): void {
  const side = 2 * lens.radius;
  const pictureX = (lens.x - placement.offsetX) / placement.scaleX;
  const pictureY = (lens.y - placement.offsetY) / placement.scaleY;
  const inside = {
    width: side,
    height: side,
    scaleX: lens.scaleX,
    scaleY: lens.scaleY,
    offsetX: Math.round(lens.radius - pictureX * lens.scaleX),
    offsetY: Math.round(lens.radius - pictureY * lens.scaleY),
  };
  const values = new Uint16Array(side * side);
  const region = resample(film.pyramid, inside, "exact", values);
  const [left, top] = [Math.round(lens.x - lens.radius), Math.round(lens.y - lens.radius)];
  for (let y = 0; y < side; y++) {
    const py = top + y;
    if (py < 0 || py >= placement.height) continue;
    for (let x = 0; x < side; x++) {
      const px = left + x;
      const away = Math.hypot(x + 0.5 - lens.radius, y + 0.5 - lens.radius);
      if (px < 0 || px >= placement.width || away > lens.radius) continue;
      const within = x >= region.x0 && x < region.x1 && y >= region.y0 && y < region.y1;
      const grey = within ? rgba[values[y * side + x]] : BLACK;
      out[py * placement.width + px] = away > lens.radius - 2 ? RIM : grey;
    }
  }
}
