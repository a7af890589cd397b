// Checks the dashboards: each is what Grafana's own type `Dashboard` says, and each LogQL query of the dashboards and of
// the alert rules parses with Grafana's own grammar.
//
//   node grafana.mjs CHECKOUT NODE_MODULES
//
// Panels' `options` and `targets` are open in that type: of those, the queries alone are checked.

import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join, relative, resolve } from "node:path";

const [checkout, modules] = process.argv.slice(2).map((path) => resolve(path));
const require = createRequire(join(modules, "x.js"));
const { parser } = require("@grafana/lezer-logql");
const problems = [];

/** The files below `folder` that end so. */
function files(folder, ending) {
  return existsSync(folder)
    ? readdirSync(folder, { recursive: true }).filter((name) => name.endsWith(ending)).sort().map((name) => join(folder, name))
    : [];
}

/** What is wrong with a query, or nothing. */
function logqlError(query) {
  // Grafana replaces its variables before Loki sees a query.
  const replaced = query.replace(/\$__(auto|range|interval)/g, "5m").replace(/\$\{\w+\}/g, ".*");
  let error;
  parser.parse(replaced).iterate({ enter: (node) => { if (node.type.isError) error ??= replaced.slice(Math.max(0, node.from - 20), node.to + 20); } });
  return error === undefined ? undefined : `LogQL does not parse near \`${error}\`: ${query}`;
}

// A parser that takes everything would pass everything.
for (const broken of ['{job="audit"', "sum(count_over_time({a=\"b\"} [5m])", '{job="audit"} | json audit_tags=']) {
  if (!logqlError(broken)) throw new Error(`the parser takes ${broken}`);
}

const dashboards = files(join(checkout, "pipeline-configs/grafana"), ".json").map((path) => [path, JSON.parse(readFileSync(path, "utf8"))]);
let queries = 0;
function check(path, query) {
  queries += 1;
  const error = logqlError(query);
  if (error) problems.push(`${relative(checkout, path)}: ${error}`);
}
for (const [path, dashboard] of dashboards) {
  for (const panel of dashboard.panels) for (const target of panel.targets) if ("expr" in target) check(path, target.expr);
}
// Rules of Loki's ruler: `expr` in block style.
for (const path of files(join(checkout, "pipeline-configs/alerts"), "loki-rules.yaml")) {
  for (const [, query] of readFileSync(path, "utf8").matchAll(/^ +expr: \|-?\n((?: {10}.*\n)+)/gm)) check(path, query);
}

// The compiler holds each dashboard against the type, names that the type does not have included.
const scratch = mkdtempSync(join(tmpdir(), "dashboards-"));
try {
  symlinkSync(modules, join(scratch, "node_modules"));
  const lines = ['import type { Dashboard } from "@grafana/schema";'];
  for (const [index, [, dashboard]] of dashboards.entries()) lines.push(`export const d${index}: Dashboard = ${JSON.stringify(dashboard)};`);
  writeFileSync(join(scratch, "dashboards.ts"), lines.join("\n"));
  const compiler = join(modules, ".bin/tsc");
  const options = ["--noEmit", "--strict", "--skipLibCheck", "--module", "nodenext", "--target", "es2022", "--types", ""];
  execFileSync(compiler, [...options, "dashboards.ts"], { cwd: scratch, encoding: "utf8" });
} catch (error) {
  problems.push(...String(error.stdout ?? error).trim().split("\n").map((line) => line.replace(/^dashboards\.ts\((\d+),/, (_, n) => `${relative(checkout, dashboards[n - 2]?.[0] ?? "")} (column `)));
} finally {
  rmSync(scratch, { recursive: true });
}

for (const problem of problems) console.error(problem);
console.error(`${dashboards.length} dashboards, ${queries} LogQL queries`);
process.exit(problems.length > 0 || dashboards.length === 0 || queries === 0 ? 1 : 0);
