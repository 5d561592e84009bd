/** The values of a measure, exam by exam, with the mean before and after a change. */

import type { Alarm, Point } from "../../api/monitor";
import { useDesk } from "../../parts/app_context";

/** At most so wide; on a phone as wide as the screen, so that its words keep their size. */
const WIDEST = 720;
const MARGIN = 24;
const HEIGHT = 220;
const EDGE = 36;
const SMOOTH = 20;

export interface ChartProps {
  readonly points: readonly Point[];
  readonly alarm: Alarm | null;
  readonly isShare: boolean;
  readonly label: string;
}

export function Chart({ points, alarm, isShare, label }: ChartProps) {
  const { words } = useDesk();
  const shown = isShare ? runningMeans(points) : points;
  const width = Math.min(WIDEST, window.innerWidth - MARGIN);
  const values = shown.map((one) => one.value);
  const [low, high] = rangeOf(values);
  const x = (place: number) => EDGE + (place / Math.max(shown.length - 1, 1)) * (width - EDGE - 8);
  const y = (value: number) => 8 + (1 - (value - low) / (high - low)) * (HEIGHT - 28);
  const since = alarm === null ? -1 : shown.findIndex((one) => one.number >= alarm.since);
  return (
    <figure className="drift">
      <svg viewBox={`0 0 ${width} ${HEIGHT}`} role="img" aria-label={label}>
        <title>{label}</title>
        {[low, (low + high) / 2, high].map((value) => (
          <g key={value}>
            <line className="drift-grid" x1={EDGE} x2={width - 8} y1={y(value)} y2={y(value)} />
            <text x={EDGE - 4} y={y(value) + 4} textAnchor="end">
              {numberWords(value, words.locale)}
            </text>
          </g>
        ))}
        {since >= 0 && alarm !== null && (
          <>
            <line className="drift-since" x1={x(since)} x2={x(since)} y1={8} y2={HEIGHT - 20} />
            <Mean from={EDGE} to={x(since)} at={y(alarm.mean_before)} />
            <Mean from={x(since)} to={width - 8} at={y(alarm.mean_after)} />
          </>
        )}
        {isShare ? (
          <polyline
            className="drift-line"
            points={shown.map((one, place) => `${x(place)},${y(one.value)}`).join(" ")}
          />
        ) : (
          shown.map((one, place) => (
            <circle
              key={one.number}
              className="drift-dot"
              cx={x(place)}
              cy={y(one.value)}
              r={2.5}
            />
          ))
        )}
        <text x={EDGE} y={HEIGHT - 4}>
          {words.say("drift.older")}
        </text>
        <text x={width - 8} y={HEIGHT - 4} textAnchor="end">
          {words.say("drift.newer")}
        </text>
      </svg>
      {isShare && <figcaption>{words.say("drift.running", { n: SMOOTH })}</figcaption>}
    </figure>
  );
}

function Mean({ from, to, at }: { from: number; to: number; at: number }) {
  return <line className="drift-mean" x1={from} x2={to} y1={at} y2={at} />;
}

/** Of yes and no, the share among the last exams is what can be seen. */
function runningMeans(points: readonly Point[]): Point[] {
  return points.map((one, place) => {
    const last = points.slice(Math.max(0, place - SMOOTH + 1), place + 1);
    return { ...one, value: last.reduce((sum, { value }) => sum + value, 0) / last.length };
  });
}

function rangeOf(values: readonly number[]): [number, number] {
  const low = Math.min(...values);
  const high = Math.max(...values);
  const room = (high - low) * 0.05 || 0.5;
  return [low - room, high + room];
}

export function numberWords(value: number, locale: string): string {
  return value.toLocaleString(locale, { maximumSignificantDigits: 3 });
}
