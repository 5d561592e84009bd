/** What the sidebar and its panels need of the viewer. */

import type { CommandId } from "../commands";
import type { ViewerState } from "../state";

export interface SidebarHost {
  readonly state: ViewerState;
  run(command: CommandId): void;
  change(state: ViewerState): void;
  openHelp(): void;
  openCalibration(): void;
}
