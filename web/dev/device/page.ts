/** A page for the browser test of the analysis on the device: files in, JSON out. */

import cardUrl from "../../../src/mammolens/models/mammolens-2/card.json?url";
import graphUrl from "../../../src/mammolens/models/mammolens-2/model.onnx?url";
import { startAnalyst } from "../../src/analysis/client";

const input = document.querySelector("input") as HTMLInputElement;
const output = document.querySelector("pre") as HTMLPreElement;
const analyst = startAnalyst();

async function load(): Promise<void> {
  const [card, graph] = await Promise.all([fetch(cardUrl), fetch(graphUrl)]);
  await analyst.load({ card: await card.text(), graph: await graph.arrayBuffer() });
}

load().then(
  () => {
    output.textContent = "ready";
  },
  (error: unknown) => {
    output.textContent = `failed: ${String(error)}`;
  },
);

input.addEventListener("change", async () => {
  const files = Array.from(input.files ?? [], (file) => ({ name: file.name, file }));
  output.textContent = "working";
  try {
    const began = performance.now();
    const { exams, unplaced } = await analyst.analyze(files);
    const said = exams.map(({ category, scores, images, cautions }) => ({
      category,
      scores,
      images: images.map(({ ref, scores: own, findings }) => ({
        path: ref.path,
        scores: own,
        findings,
      })),
      cautions,
    }));
    const milliseconds = Math.round(performance.now() - began);
    output.textContent = JSON.stringify({ milliseconds, exams: said, unplaced });
  } catch (error) {
    output.textContent = `failed: ${String(error)}`;
  }
});
