/** Going over a picture at one pixel per pixel: fields that overlap and leave nothing out. */

import { type Camera, type HungImage, type PaneSize, zoomOneToOne } from "./camera";

/** Neighbouring fields share at least this part of a pane: a lesion at a seam is seen whole once. */
const OVERLAP = 0.1;

/**
 * The cameras of all fields: rows from the top, in each row from the chest wall outwards.
 *
 * @param fit device pixels per common unit at zoom 1
 */
export function fields(fit: number, size: PaneSize, hung: HungImage): readonly Camera[] {
  const zoom = zoomOneToOne(fit, hung);
  const scaleX = fit * zoom * hung.unitX;
  const scaleY = fit * zoom * hung.unitY;
  const { whole } = hung;
  const high = (whole.y1 - whole.y0) * scaleY;
  const middle = (high - size.height) / 2;
  const wide = depth(hung) * scaleX;
  const centre = hung.hanging.chestWall === null ? (wide - size.width) / 2 : 0;
  return starts(high, size.height, middle).flatMap((y) =>
    starts(wide, size.width, centre).map((x) => ({
      zoom,
      out: (x - centre) / (fit * zoom),
      down: (y - middle) / (fit * zoom),
    })),
  );
}

/** Columns from the chest wall's edge to the far end of what must be seen. */
function depth({ hanging, whole, width }: HungImage): number {
  if (hanging.chestWall === "right") return width - whole.x0;
  return hanging.chestWall === "left" ? whole.x1 : whole.x1 - whole.x0;
}

/** Where the fields begin along one axis; `alone` where one field shows everything. */
function starts(extent: number, pane: number, alone: number): readonly number[] {
  if (extent <= pane) return [alone];
  const count = Math.ceil((extent - OVERLAP * pane) / (pane * (1 - OVERLAP)));
  return Array.from({ length: count }, (_, i) => (i * (extent - pane)) / (count - 1));
}
