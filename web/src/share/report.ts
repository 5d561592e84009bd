/** The report of a signed reading, as the server gives it for a link, as elements of a page. */

export interface SharedReport {
  readonly title: string;
  readonly notice: string;
  readonly banner: string;
  readonly warning: string;
  readonly language: string;
  readonly direction: string;
  readonly facts: readonly (readonly [name: string, value: string])[];
  readonly sections: readonly {
    readonly title: string;
    readonly lines: readonly string[];
    readonly table: {
      readonly head: readonly string[];
      readonly rows: readonly (readonly string[])[];
    } | null;
    readonly is_urgent: boolean;
  }[];
  readonly figures_title: string;
  /** PNG in Base64. */
  readonly figures: readonly { readonly caption: string; readonly png: string }[];
  readonly signature: string;
}

export function reportElement(report: SharedReport): HTMLElement {
  const facts = report.facts.map(([name, value]) =>
    element("div", "", element("dt", "", name), element("dd", "", value)),
  );
  const figures = report.figures.map(({ caption, png }) => {
    const image = document.createElement("img");
    image.src = `data:image/png;base64,${png}`;
    image.alt = caption;
    return element("figure", "", image, element("figcaption", "", caption));
  });
  const article = element(
    "article",
    "report",
    element("p", "research", report.notice),
    element("h1", "", report.title),
    ...[report.banner, report.warning].filter(Boolean).map((text) => element("p", "warning", text)),
    element("dl", "", ...facts),
    ...report.sections.map(sectionElement),
    ...(figures.length > 0
      ? [element("h2", "", report.figures_title), element("div", "figures", ...figures)]
      : []),
    element("p", "signature", report.signature),
  );
  article.lang = report.language;
  article.dir = report.direction;
  return article;
}

function sectionElement({ title, lines, table, is_urgent }: SharedReport["sections"][number]) {
  const cells = (row: readonly string[], tag: "th" | "td") =>
    element("tr", "", ...row.map((text) => element(tag, "", text)));
  const rows = table?.rows.map((row) => cells(row, "td")) ?? [];
  return element(
    "section",
    is_urgent ? "urgent" : "",
    element("h2", "", title),
    ...lines.map((line) => element("p", "", line)),
    ...(table === null
      ? []
      : [
          element(
            "table",
            "",
            element("thead", "", cells(table.head, "th")),
            element("tbody", "", ...rows),
          ),
        ]),
  );
}

/** Text is set as text: what somebody typed into a report never becomes markup. */
export function element(
  tag: string,
  className: string,
  ...children: readonly (Node | string)[]
): HTMLElement {
  const made = document.createElement(tag);
  if (className !== "") made.className = className;
  made.append(...children);
  return made;
}
