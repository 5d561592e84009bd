import { defineConfig } from "vitest/config";

export default defineConfig({
  // No test measures time: on a busy machine each may take long.
  test: { include: ["tests/**/*.test.ts"], pool: "threads", maxWorkers: 1, testTimeout: 60_000 },
});
