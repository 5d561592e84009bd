/**
 * Figures of the compression before sending, in Node: bytes before and after, and CPU time, by film.
 *
 *     node dev/compress_figures.ts FOLDER      # built as dev/device_figures.ts is, see README.md
 */

import { recompress } from "../src/recompress/recompress";
import { filesOf, loadCodec } from "../tests/analysis/device";

const [folder] = process.argv.slice(2);
let [before, after] = [0, 0];
for (const { name, bytes } of filesOf(folder).filter((one) => one.name.endsWith(".dcm"))) {
  const film = await bytes();
  const { user, system } = process.cpuUsage();
  const made = await recompress(film, loadCodec);
  const used = process.cpuUsage({ user, system });
  const size = made.kind === "smaller" ? made.bytes.length : film.length;
  before += film.length;
  after += size;
  const cpuMs = Math.round((used.user + used.system) / 1000);
  console.log(JSON.stringify({ name, before: film.length, after: size, cpuMs, ...without(made) }));
}
const maxRssMb = Math.round(process.resourceUsage().maxRSS / 1024);
console.log(JSON.stringify({ before, after, share: after / before, maxRssMb }));

function without(made: object): object {
  return "why" in made ? { why: made.why } : {};
}
