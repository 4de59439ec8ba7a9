import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import { defineConfig, type Plugin } from "vite";

const SMALLEST_BYTES = 1024;

/** Puts a file in each coding beside every file that gains from it, so that the server needs none. */
function precompressed(): Plugin {
  let folder = "";
  return {
    name: "precompressed",
    apply: "build",
    configResolved(config) {
      folder = config.build.outDir;
    },
    closeBundle() {
      for (const name of readdirSync(folder, { recursive: true, encoding: "utf8" })) {
        const path = join(folder, name);
        if (!/\.(js|css|html|svg|wasm)$/.test(name) || statSync(path).size < SMALLEST_BYTES)
          continue;
        const body = readFileSync(path);
        writeFileSync(`${path}.gz`, gzipSync(body, { level: 9 }));
        const quality = { [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY };
        writeFileSync(`${path}.br`, brotliCompressSync(body, { params: quality }));
      }
    },
  };
}

const server = process.env.CINEMA ?? "http://127.0.0.1:8080";

export default defineConfig({
  plugins: [precompressed()],
  build: {
    outDir: process.env.OUT_DIR ?? "dist",
    emptyOutDir: true,
    assetsInlineLimit: 0,
    target: "es2023",
    manifest: true,
    rolldownOptions: {
      onwarn(warning, warn) {
        // "use client" says nothing to a browser.
        if (warning.code !== "MODULE_LEVEL_DIRECTIVE") warn(warning);
      },
    },
  },
  server: {
    proxy: { "/api": { target: server, ws: true }, "/media": server, "/docs": server },
  },
});
