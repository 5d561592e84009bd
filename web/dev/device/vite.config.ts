import { defineConfig } from "vite";

export default defineConfig({
  root: import.meta.dirname,
  worker: { format: "es" },
  build: { target: "es2023", outDir: "../../dist-device", emptyOutDir: true, assetsInlineLimit: 0 },
});
