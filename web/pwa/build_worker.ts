/** Writes `sw.js` beside the built page: the service worker with the list of this build's files. */

import { createHash } from "node:crypto";
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import type { Plugin } from "vite";

const WORKER = "sw.js";
/** Not needed to show the page. */
const LEFT_OUT = /\.(md|map)$/;

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
  const files = names.map((name) => (name === "index.html" ? "/" : `/${name}`));
  const build = digest.digest("hex").slice(0, 16);
  return `const BUILD = "${build}";\nconst FILES = ${JSON.stringify(files, null, 1)};\n\n${source}`;
}
