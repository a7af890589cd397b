// Builds the one page: script, style and module inside, and a policy that allows nothing else.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { defineConfig, type Plugin } from "vite";

const built = (path: string) => fileURLToPath(new URL(`../../../target/page/${path}`, import.meta.url));

/** Puts script, style and module into the page, and the hashes of the first two into its Content-Security-Policy. */
function onePage(): Plugin {
  return {
    name: "one-page",
    // After Vite has put the style into the bundle.
    enforce: "post",
    generateBundle(_, bundle) {
      let script = "";
      let style = "";
      for (const [name, file] of Object.entries(bundle)) {
        if (file.type === "chunk") script += file.code;
        else if (name.endsWith(".css")) style += String(file.source).trim();
        else throw new Error(`${name} has no place in the page`);
        delete bundle[name];
      }
      // What ends a script element ends it in a string, too.
      script = script.replaceAll("</script", "<\\/script").replaceAll("<!--", "<\\!--");
      const source = (text: string) => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
      const policy = [
        "default-src 'none'",
        `script-src ${source(script)} 'wasm-unsafe-eval'`,
        `style-src ${source(style)}`,
        // Where somebody types over text in the editor, browsers themselves keep its look in such attributes.
        "style-src-attr 'unsafe-inline'",
        // The editor's marks are pictures inside of its style sheet.
        "img-src data:",
        "connect-src 'none'",
        "base-uri 'none'",
        "form-action 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
      ].join("; ");
      const module = gzipSync(readFileSync(built("engine/engine_bg.wasm")), { level: 9 }).toString("base64");
      const parts: Record<string, string> = { policy, style, script, module };
      const page = readFileSync(new URL("page.html", import.meta.url), "utf8");
      const filled = page.replace(/\{\{(\w+)\}\}/g, (_, part) => parts[part] ?? "");
      this.emitFile({ type: "asset", fileName: "audit-centre.html", source: filled });
    },
  };
}

export default defineConfig({
  plugins: [onePage()],
  resolve: {
    alias: {
      engine: built("engine/engine.js"),
      "react-dom": "preact/compat",
      react: "preact/compat",
    },
  },
  build: {
    outDir: built("."),
    emptyOutDir: false,
    target: "es2022",
    cssCodeSplit: false,
    modulePreload: false,
    reportCompressedSize: false,
    chunkSizeWarningLimit: 2000,
    rollupOptions: {
      input: "src/main.tsx",
      output: { format: "iife", inlineDynamicImports: true },
    },
  },
});
