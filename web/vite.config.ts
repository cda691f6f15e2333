// How the dashboard is built: one page of separate files, which a policy without inline code allows.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vite";

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const tidegate = here("../target/tidegate/npm/index.js");

function tidegateVersion(): string {
  const manifest = JSON.parse(readFileSync(here("../target/tidegate/npm/package.json"), "utf8")) as { version: string };
  return manifest.version;
}

export default defineConfig({
  base: "./",
  define: { __TIDEGATE_VERSION__: JSON.stringify(tidegateVersion()) },
  resolve: { alias: { tidegate } },
  // The package finds its wasm beside itself; bundling it beforehand would move it away.
  optimizeDeps: { exclude: ["tidegate"] },
  build: {
    outDir: "../target/tidegate/dashboard",
    emptyOutDir: true,
    target: "es2022",
    cssTarget: ["chrome123", "firefox120", "safari17.5"],
    // `data:` URLs are no source of scripts or wasm under the page's policy: every asset is a file.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  server: {
    host: "127.0.0.1",
    fs: { allow: [here("."), here("../target/tidegate")] },
    proxy: Object.fromEntries(
      ["/api", "/source", "/health", "/stats", "/metrics"].map((path) => [path, "http://127.0.0.1:9200"]),
    ),
  },
});
