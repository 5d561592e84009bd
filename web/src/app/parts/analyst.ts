/** The analysis on this device for pages: the model of the server is loaded into a worker. */

import { type DeviceAnalyst, startAnalyst } from "../../analysis/client";
import type { ModelApi, ModelFacts } from "../api/model";
import { asProblem } from "../api/problem";

export interface LoadedAnalyst {
  readonly analyst: DeviceAnalyst;
  readonly facts: ModelFacts;
}

/** Of the last time: without a line the model of then is used, which the browser has kept. */
let remembered: ModelFacts | null = null;

async function factsOf(api: ModelApi): Promise<ModelFacts> {
  try {
    remembered = await api.show();
  } catch (error) {
    if (remembered === null || asProblem(error).code !== "unreachable") throw error;
  }
  return remembered;
}

/** @throws Problem, or AnalysisFailed where this device cannot run the model */
export async function loadAnalyst(api: ModelApi): Promise<LoadedAnalyst> {
  const facts = await factsOf(api);
  const [card, graph] = await Promise.all([api.file(facts.card), api.file(facts.graph)]);
  const analyst = startAnalyst();
  try {
    await analyst.load({ card: new TextDecoder().decode(card), graph });
    return { analyst, facts };
  } catch (error) {
    analyst.close();
    throw error;
  }
}
