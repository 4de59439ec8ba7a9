import { createHash } from "node:crypto";
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import { defineConfig, type Plugin } from "vite";

const SMALLEST_BYTES = 1024;
/** Pages that start without a connection: their address, and what they load, at once or later. */
const KEPT_PAGES = {
  scanner: {
    shell: "/staff/scan",
    parts: ["src/scan/page.tsx", "src/scan/camera.ts"],
  },
  tickets: {
    shell: "/bookings",
    parts: ["src/bookings/list.tsx", "src/bookings/booking.tsx"],
  },
};
const ALWAYS = ["index.html", "src/i18n/de.ts"];

type Manifest = Record<
  string,
  { file: string; imports?: string[]; css?: string[]; assets?: string[] } | undefined
>;

/** All files behind these entries of the manifest. */
function filesOf(manifest: Manifest, names: readonly string[], seen = new Set<string>()): string[] {
  return names.flatMap((name) => {
    const entry = manifest[name];
    if (entry === undefined) throw new Error(`The build has no ${name}.`);
    if (seen.has(name)) return [];
    seen.add(name);
    const { file, css = [], assets = [], imports = [] } = entry;
    return [file, ...css, ...assets, ...filesOf(manifest, imports, seen)];
  });
}

/** The service workers of these pages, with the names of the files that they keep. */
function workers(): Plugin {
  let folder = "";
  return {
    name: "workers",
    apply: "build",
    configResolved(config) {
      folder = config.build.outDir;
    },
    writeBundle() {
      const manifest = JSON.parse(readFileSync(join(folder, ".vite", "manifest.json"), "utf8"));
      const page = readFileSync(join(folder, "index.html"));
      const source = readFileSync("src/offline/worker.js", "utf8");
      for (const [kind, { shell, parts }] of Object.entries(KEPT_PAGES)) {
        const found = filesOf(manifest, [...ALWAYS, ...parts]).map((file) => `/${file}`);
        const files = [...new Set(found)].sort();
        const version = createHash("sha256").update(page).update(files.join()).update(source);
        const worker = source
          .replace("__SHELL__", shell)
          .replace("__KIND__", kind)
          .replace('"__FILES__"', JSON.stringify(files))
          .replace("__VERSION__", version.digest("hex").slice(0, 16));
        writeFileSync(join(folder, `${kind}.js`), worker);
      }
    },
  };
}

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
  plugins: [workers(), precompressed()],
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
