/** Writes `sw.js` beside the built page: the service worker with the list of this build's files. */

import { createHash } from "node:crypto";
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import type { Plugin } from "vite";

const WORKER = "sw.js";
/** Not needed to show the page; a link to a report needs the line anyway. */
const LEFT_OUT = /\.(md|map)$|^share\.html$/;
/** Larger files, such as a model's runtime, and fonts are kept when they are used for the first time. */
export const AT_ONCE_BYTES = 512 << 10;

export function serviceWorker(source: string): Plugin {
  let folder = "";
  return {
    name: "mammolens-service-worker",
    apply: "build",
    configResolved: (config) => {
      folder = join(config.root, config.build.outDir);
    },
    closeBundle: {
      order: "post",
      handler: () => {
        writeFileSync(join(folder, WORKER), workerOf(folder, readFileSync(source, "utf-8")));
      },
    },
  };
}

/** The build is named by what its files contain: the same files are the same build. */
export function workerOf(folder: string, source: string): string {
  const names = readdirSync(folder, { recursive: true, encoding: "utf-8" })
    .filter((name) => statSync(join(folder, name)).isFile())
    .map((name) => relative(folder, join(folder, name)).replaceAll("\\", "/"))
    .filter((name) => name !== WORKER && !LEFT_OUT.test(name))
    .sort();
  const digest = createHash("sha256").update(source);
  for (const name of names) digest.update(name).update(readFileSync(join(folder, name)));
  const isSmall = (name: string) =>
    !name.endsWith(".ttf") && statSync(join(folder, name)).size <= AT_ONCE_BYTES;
  const listed = (some: readonly string[]) =>
    JSON.stringify(
      some.map((name) => (name === "index.html" ? "/" : `/${name}`)),
      null,
      1,
    );
  return [
    `const BUILD = "${digest.digest("hex").slice(0, 16)}";`,
    `const FILES = ${listed(names.filter(isSmall))};`,
    `const LARGE_FILES = ${listed(names.filter((name) => !isSmall(name)))};`,
    "",
    source,
  ].join("\n");
}
