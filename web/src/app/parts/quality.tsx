/** The quality of an exam's pictures: what is poor, and the place in the picture that shows it. */

import { useEffect, useState } from "react";
import type { Criterion, ExamQuality, ImageQuality, QualityMark } from "../api/types";
import type { AppKey } from "../messages/text";
import { useDesk } from "./app_context";
import { ProblemNote } from "./form";
import { useLoad } from "./hooks";

/** Verdicts come with the previews, a second or two after the images. */
const AGAIN_MS = 2_000;
const MOST_TRIES = 60;

/** @param isOpen whether the criteria of each view are unfolded from the start */
export function Quality({ exam, isOpen = false }: { exam: number; isOpen?: boolean }) {
  const { words, apis } = useDesk();
  const [tries, setTries] = useState(0);
  const { data, problem } = useLoad(() => apis.exams.quality(exam), `quality ${exam} ${tries}`);
  const [shown, setShown] = useState<ExamQuality | null>(null);
  useEffect(() => {
    if (data === null) return;
    setShown(data);
    if (data.ready || tries >= MOST_TRIES) return;
    const timer = setTimeout(() => setTries((now) => now + 1), AGAIN_MS);
    return () => clearTimeout(timer);
  }, [data, tries]);
  if (problem !== null && shown === null) return <ProblemNote problem={problem} />;
  if (shown === null) return <p className="quiet">{words.say("quality.waits")}</p>;
  const poor = [...shown.exam, ...shown.images.flatMap((image) => image.criteria ?? [])].filter(
    isPoor,
  );
  const doubts = poor.filter((one) => one.doubt).length;
  return (
    <details className="quality" open={isOpen || doubts > 0}>
      <summary>
        {words.say("quality.title")}:{" "}
        {poor.length === 0
          ? words.say(shown.ready ? "quality.all-good" : "quality.waits")
          : words.say("quality.remarks", { n: poor.length })}
      </summary>
      <p className="quiet">{words.say("quality.how")}</p>
      <ul>
        {shown.exam.filter(isPoor).map((one) => (
          <Line key={one.name} criterion={one} />
        ))}
      </ul>
      {shown.images.map((image) => (
        <View key={image.sop_instance_uid} exam={exam} image={image} />
      ))}
    </details>
  );
}

const isPoor = (one: Criterion) => one.standing === "poor";

function View({ exam, image }: { exam: number; image: ImageQuality }) {
  const { words } = useDesk();
  const { criteria } = image;
  const name = `${image.laterality ?? "?"}${image.view_position ?? "?"}`;
  if (criteria === null) {
    return (
      <section>
        <h3>{name}</h3>
        <p className="quiet">{words.say("quality.none")}</p>
      </section>
    );
  }
  const poor = criteria.filter(isPoor);
  const unknown = criteria.filter((one) => one.standing === "not_assessable");
  const good = criteria.filter((one) => one.standing === "good").length;
  return (
    <section>
      <h3>{name}</h3>
      {poor.some((one) => one.marks.length > 0) && (
        <Picture exam={exam} image={image} poor={poor} />
      )}
      <ul>
        {poor.map((one) => (
          <Line key={one.name} criterion={one} />
        ))}
      </ul>
      <p className="quiet">
        {words.say("quality.good", { n: good, of: criteria.length })}
        {unknown.length > 0 && ` ${words.say("quality.unknown")} `}
        {unknown.map((one) => words.say(`quality.${one.name}` as AppKey)).join(", ")}
      </p>
    </section>
  );
}

function Line({ criterion }: { criterion: Criterion }) {
  const { words } = useDesk();
  const { name, reason, doubt } = criterion;
  const key = `quality.${name}.poor`;
  const said =
    words.has(key) && name !== "exposure" ? words.say(key as AppKey) : words.reason(reason);
  return (
    <li className={doubt ? "quality-doubt" : undefined}>
      <strong>
        {words.has(`quality.${name}`) ? words.say(`quality.${name}` as AppKey) : name}
      </strong>
      {": "}
      {said}
      {figures(criterion)}
      {doubt && ` ${words.say("quality.doubt")}`}
    </li>
  );
}

function figures({ value, limit, unit }: Criterion): string {
  return value === null || limit === null ? "" : ` (${value}, ${limit}${unit ? ` ${unit}` : ""})`;
}

/** The preview with lines over it; both lie as the picture is stored. */
function Picture(props: { exam: number; image: ImageQuality; poor: readonly Criterion[] }) {
  const { words } = useDesk();
  const { exam, image, poor } = props;
  const { rows, columns } = image;
  if (rows === null || columns === null) return null;
  return (
    <div className="quality-picture">
      <img
        src={`/api/v1/exams/${exam}/previews/${image.sop_instance_uid}`}
        alt={words.say("quality.picture")}
        loading="lazy"
      />
      <svg viewBox={`0 0 ${columns} ${rows}`} preserveAspectRatio="none" aria-hidden="true">
        {poor.flatMap((one) =>
          one.marks.map((mark) => (
            <polyline
              key={`${one.name} ${JSON.stringify(mark.points)}`}
              points={pointsOf(mark, columns / 40)}
              vectorEffect="non-scaling-stroke"
            />
          )),
        )}
      </svg>
    </div>
  );
}

/** A mark as a line: a box is closed, a point is a cross. */
function pointsOf({ kind, points }: QualityMark, arm: number): string {
  const [[y0, x0]] = points;
  const [y1, x1] = points[points.length - 1];
  const line: readonly (readonly [x: number, y: number])[] =
    kind === "box"
      ? [
          [x0, y0],
          [x1, y0],
          [x1, y1],
          [x0, y1],
          [x0, y0],
        ]
      : kind === "point"
        ? [
            [x0 - arm, y0 - arm],
            [x0 + arm, y0 + arm],
            [x0, y0],
            [x0 - arm, y0 + arm],
            [x0 + arm, y0 - arm],
          ]
        : points.map(([y, x]) => [x, y] as const);
  return line.map(([x, y]) => `${x},${y}`).join(" ");
}
