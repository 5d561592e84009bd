import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";
import { serviceWorker } from "./pwa/build_worker.ts";

/** The page that `mammolens serve` gives at `/`; nothing is inlined, as its policy forbids that. */
export default defineConfig({
  plugins: [react(), serviceWorker("pwa/service_worker.js")],
  worker: { format: "es" },
  build: {
    target: "es2023",
    outDir: "dist",
    emptyOutDir: true,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // The page of the application, and that of a referring doctor with a link.
    rollupOptions: { input: { index: "index.html", share: "share.html" } },
    // Licences of what is built in have to go wherever it goes: into the wheel, too.
    license: { fileName: "licences.md" },
  },
});
