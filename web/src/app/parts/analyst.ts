/** The analysis on this device for pages: the model of the server is loaded into a worker. */

import { type DeviceAnalyst, startAnalyst } from "../../analysis/client";
import type { ModelApi, ModelFacts } from "../api/model";

export interface LoadedAnalyst {
  readonly analyst: DeviceAnalyst;
  readonly facts: ModelFacts;
}

/** @throws Problem, or AnalysisFailed where this device cannot run the model */
export async function loadAnalyst(api: ModelApi): Promise<LoadedAnalyst> {
  const facts = await api.show();
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
