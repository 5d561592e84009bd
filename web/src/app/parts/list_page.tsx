/** A page that shows one list: heading, what went wrong, an empty list in words. */

import type { ReactNode } from "react";
import { useFrame } from "./app_context";
import { Busy, ProblemNote } from "./form";
import { type Loaded, useTitle } from "./hooks";

export interface ListPageProps<T> {
  readonly title: string;
  readonly how?: string;
  readonly empty: string;
  readonly list: Pick<Loaded<readonly T[]>, "data" | "problem">;
  /** There is more: asks for it. */
  more?: (() => void) | null;
  readonly actions?: ReactNode;
  children(items: readonly T[]): ReactNode;
}

export function ListPage<T>({
  title,
  how,
  empty,
  list,
  more,
  actions,
  children,
}: ListPageProps<T>) {
  const { words } = useFrame();
  useTitle(title);
  return (
    <section className="page">
      <header className="page-head">
        <h1>{title}</h1>
        {actions}
      </header>
      {how && <p className="quiet how">{how}</p>}
      <ProblemNote problem={list.problem} />
      {list.data === null && list.problem === null && <Busy text={words.say("app.loading")} />}
      {list.data !== null &&
        (list.data.length === 0 ? <p className="empty">{empty}</p> : children(list.data))}
      {more && (
        <button type="button" onClick={more}>
          {words.say("app.more")}
        </button>
      )}
    </section>
  );
}

export interface Column<T> {
  readonly title: string;
  cell(item: T): ReactNode;
}

export interface TableProps<T> {
  readonly items: readonly T[];
  readonly columns: readonly Column<T>[];
  id(item: T): string | number;
  rowClass?(item: T): string;
}

/** On a narrow screen each cell names its column. */
export function Table<T>({ items, columns, id, rowClass }: TableProps<T>) {
  return (
    <table className="list">
      <thead>
        <tr>
          {columns.map(({ title }) => (
            <th key={title} scope="col">
              {title}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {items.map((item) => (
          <tr key={id(item)} className={rowClass?.(item) ?? ""}>
            {columns.map(({ title, cell }) => (
              <td key={title} data-column={title}>
                {cell(item)}
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}
