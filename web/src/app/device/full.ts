/** What cannot be kept on the device: that is said as what it is, and not as a line that is away. */

import { Problem } from "../api/problem";

export async function orFull<T>(act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    if (error instanceof Problem) throw error;
    throw new Problem(507, "storage_full", error instanceof Error ? error.message : `${error}`);
  }
}
