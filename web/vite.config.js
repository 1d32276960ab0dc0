import { fileURLToPath } from "node:url";
import { defineConfig } from "vite";

const client = (file) => fileURLToPath(new URL(`../clients/js/src/${file}`, import.meta.url));

export default defineConfig({
  base: "./",
  resolve: {
    alias: { "@starling-vr/client": client("index.ts"), "#websocket": client("websocket_browser.ts") },
  },
  build: {
    target: "es2022",
    assetsInlineLimit: 0, // the content security policy allows no data: scripts or fonts
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 1500,
  },
  worker: { format: "es" },
});
