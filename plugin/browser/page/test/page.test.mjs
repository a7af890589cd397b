// Opens reports of the sample log in a real browser and uses everything in them. `cargo xtask page --test` runs this.
//
// HOST_HARNESS names the command line, CHROMIUM the browser. Screenshots go to target/page/screenshots.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, test } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";
import { chromium } from "playwright-core";

const root = fileURLToPath(new URL("../../../../", import.meta.url));
const hostHarness = process.env.HOST_HARNESS ?? join(root, "target/release/host-harness");
const sample = join(root, "tests/fixtures/sample-audit.jsonl");
const template = join(root, "target/page/audit-centre.html");
const screenshots = join(root, "target/page/screenshots");
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

const pages = ["overview", "operations", "resource", "cves", "containers", "events"];
const work = mkdtempSync(join(tmpdir(), "audit-centre-"));
let browser;
/** What no page may do: write errors to the console, ask a network for anything. */
let complaints = [];

before(async () => {
  mkdirSync(screenshots, { recursive: true });
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
});

after(async () => {
  await browser?.close();
  rmSync(work, { recursive: true, force: true });
});

afterEach(() => {
  const found = complaints;
  complaints = [];
  assert.deepEqual(found, []);
});

/** Writes a report, and returns its place and its numbers. */
function report(name, log, ...options) {
  const file = join(work, `${name}.html`);
  execFileSync(hostHarness, ["report", "--quiet", log, "-o", file, "--page", template, ...options]);
  const json = execFileSync(hostHarness, ["report", "--quiet", log, "--format", "json", ...options], { maxBuffer: 1 << 28 });
  return { url: pathToFileURL(file).href, numbers: JSON.parse(json) };
}

async function open(url, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 1000 }, locale: "en-GB", ...options });
  const page = await context.newPage();
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) complaints.push(`console: ${message.text()}`);
  });
  page.on("pageerror", (error) => complaints.push(`error: ${error.message}`));
  page.on("request", (request) => {
    if (!request.url().startsWith("file:")) complaints.push(`request: ${request.url()}`);
  });
  page.on("dialog", (dialog) => complaints.push(`dialog: ${dialog.message()}`));
  await page.goto(url);
  await page.locator("html[data-ready]").waitFor({ state: "attached" });
  return page;
}

const go = (page, name) => page.locator(`nav [data-page="${name}"]`).click();

/** A number as the page writes it. */
const digits = (text) => Number(text.replaceAll(/\D/g, ""));

/** The rows of a table: the texts of their cells. */
async function rows(page, caption) {
  const table = page.locator("table", { has: page.locator("caption", { hasText: new RegExp(`^${caption}$`) }) });
  return table.locator("tbody tr").evaluateAll((all) => all.map((row) => [...row.cells].map((cell) => cell.innerText.trim())));
}

async function accessible(page, where) {
  // What the test evaluates is not bound by the page's policy, and the page could not load it.
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
  const found = violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => `${node.html} ${node.failureSummary}`).join(" | ")}`);
  assert.deepEqual(found, [], where);
}

test("every page shows the numbers of the command line, and is accessible", async () => {
  const { url, numbers } = report("sample", sample);
  const page = await open(url);
  const tiles = await page.locator(".tile").evaluateAll((all) => all.map((tile) => tile.children[1].innerText));
  const severities = numbers.overview.severities.map(({ events }) => events).reverse();
  assert.deepEqual(tiles.map(digits), [...severities, numbers.overview.events]);
  assert.deepEqual(
    (await rows(page, "High-priority events")).map((cells) => cells.slice(1, 4).map(digits)),
    numbers.overview.priorities.map(({ events, grave, operators }) => [events, grave, operators]),
  );
  assert.deepEqual(
    (await rows(page, "Top operators")).map((cells) => cells.slice(1).map(digits)),
    numbers.overview.operators.rows.slice(0, 8).map(({ events, grave, failures }) => [events, grave, failures]),
  );
  const { rows: alerts } = numbers.overview.alerts;
  assert.deepEqual((await rows(page, "Alerts")).map((cells) => cells[1]), alerts.slice(0, 8).map(({ title }) => title));
  assert.ok(alerts.length > 0 && alerts.every(({ rule, title }) => title !== rule), "alerts have titles");
  await go(page, "operations");
  for (const [name, title] of [["compute", "Compute"], ["access-control", "Access control"]]) {
    const { resources } = numbers.operations.find((one) => one.class === name);
    assert.deepEqual(
      (await rows(page, title)).map(([resource, ...cells]) => [resource, ...cells.map(digits)]),
      resources.rows.slice(0, 8).map((one) => [one.resource, one.create, one.update, one.delete, one.access, one.failures]),
      name,
    );
  }
  await go(page, "cves");
  assert.deepEqual(
    (await rows(page, "CVE risks")).map((cells) => [cells[2], digits(cells[4])]),
    numbers.cves.rules.slice(0, 20).map(({ title, events }) => [title, events]),
  );
  await go(page, "containers");
  const sessions = await page.locator(".session header .number").allInnerTexts();
  assert.deepEqual(sessions.map(digits), numbers.containers.sessions.rows.map(({ events }) => events));
  await go(page, "resource");
  for (const wanted of ["pods", "secrets"]) {
    await page.locator(".pick input").fill(wanted);
    await page.locator(".pick input").press("Enter");
    const details = numbers.resources.rows.find(({ resource }) => resource === wanted);
    assert.equal(digits(await page.locator(".tile.all .number").innerText()), details.events, wanted);
    assert.equal(Number(await page.locator(".events").getAttribute("aria-rowcount")), details.events + 1, wanted);
  }

  for (const theme of ["light", "dark"]) {
    await page.locator("#theme").selectOption(theme);
    for (const name of pages) {
      await go(page, name);
      await accessible(page, `${name}, ${theme}`);
      await page.screenshot({ path: join(screenshots, `${name}-${theme}.png`), fullPage: true });
    }
  }
  await page.locator("#theme").selectOption("light");
  await page.setViewportSize({ width: 390, height: 844 });
  for (const name of pages) {
    await go(page, name);
    await accessible(page, `${name}, narrow`);
    const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(overflow <= 0, `${name} is ${overflow} pixels wider than a narrow window`);
    await page.screenshot({ path: join(screenshots, `${name}-narrow.png`), fullPage: true });
  }
});

test("the page speaks Chinese, and so do its explanations", async () => {
  const { url } = report("chinese", sample);
  const page = await open(url, { locale: "zh-CN" });
  assert.equal(await page.locator("html").getAttribute("lang"), "zh-CN");
  assert.equal(await page.title(), "审计中心");
  const isChinese = (text) => /\p{Script=Han}/u.test(text);
  for (const [caption, column] of [["高优先级事件", 0], ["告警", 1], ["源地址", 1], ["命中最多的规则", 0]]) {
    const cells = (await rows(page, caption)).map((row) => row[column]);
    assert.ok(cells.length > 0 && cells.every(isChinese), `${caption}: ${cells}`);
  }
  for (const name of pages) {
    await go(page, name);
    const heads = await page.locator("h2, th, .what, .controls label > :first-child").allInnerTexts();
    assert.deepEqual(heads.filter((head) => !isChinese(head) && !["Pod", "CVE", ""].includes(head.trim())), [], name);
    await page.screenshot({ path: join(screenshots, `${name}-zh.png`), fullPage: true });
  }
  await page.locator('[data-filter="severity"]').selectOption("critical");
  await go(page, "events");
  await page.locator(".events .message").first().click();
  const why = page.locator("dialog .why");
  await why.waitFor();
  const labels = await why.locator("th").allInnerTexts();
  assert.ok(labels.length >= 8 && labels.every(isChinese), labels.join(", "));
  for (const label of ["策略", "操作者", "来源", "操作", "规则", "结果"]) {
    const row = why.locator("tr", { has: page.locator("th", { hasText: new RegExp(`^${label}$`) }) });
    assert.ok(isChinese(await row.locator("td").innerText()), label);
  }
  await page.screenshot({ path: join(screenshots, "detail-zh.png") });
});

test("the reports are there before the engine is", async () => {
  const { url, numbers } = report("early", sample);
  const context = await browser.newContext({ viewport: { width: 1440, height: 1000 }, locale: "en-GB" });
  await context.addInitScript(() => {
    WebAssembly.compile = () => new Promise(() => {});
  });
  const page = await context.newPage();
  await page.goto(url);
  assert.equal(digits(await page.locator(".tile.all .number").innerText()), numbers.overview.events);
  await go(page, "resource");
  await page.locator(".pick input").fill("secrets");
  await page.locator(".pick input").press("Enter");
  const secrets = numbers.resources.rows.find(({ resource }) => resource === "secrets");
  await page.locator(".tile.all .number", { hasText: new RegExp(`^${secrets.events}$`) }).waitFor();
  await page.getByText("Reading the events…").waitFor();
});

test("everything can be done with the keyboard", async () => {
  const { url, numbers } = report("keyboard", sample);
  const page = await open(url);
  const focused = () => page.evaluate(() => document.activeElement?.textContent ?? "");
  const tabTo = async (wanted) => {
    for (let steps = 0; (await focused()) !== wanted; steps += 1) {
      assert.ok(steps < 60, `the tab key does not come to ${wanted}`);
      await page.keyboard.press("Tab");
    }
  };
  await page.keyboard.press("Tab");
  assert.equal(await focused(), "Skip to the report");
  await tabTo("Events");
  await page.keyboard.press("Enter");
  const message = await page.locator(".events .message").first().innerText();
  await tabTo(message);
  await page.keyboard.press("Enter");
  await page.locator("dialog .why").waitFor();
  await page.keyboard.press("Escape");
  await page.locator("dialog").waitFor({ state: "detached" });
  assert.equal(await focused(), message, "who closes an event is back where the event stands");
  // Its end is as near as its beginning.
  await page.locator(".events .list").focus();
  await page.keyboard.press("End");
  await page.locator(`[aria-rowindex="${numbers.overview.events + 1}"]`).waitFor();

  await go(page, "playground");
  await page.locator("#tab-policy").focus();
  await page.keyboard.press("ArrowRight");
  assert.equal(await focused(), "Rules");
  assert.equal(await page.locator("#tab-rules").getAttribute("aria-selected"), "true");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Escape");
  await page.keyboard.press("Tab");
  assert.notEqual(await page.evaluate(() => document.activeElement?.className), "editor", "Escape, then Tab, leaves the editor");
});

test("of a long log, no more is made than can be seen", async () => {
  const log = join(work, "long.jsonl");
  writeFileSync(log, execFileSync(hostHarness, ["generate", "--events", "20000", "--seed", "3"], { maxBuffer: 1 << 30 }));
  const policy = join(work, "everything.yaml");
  writeFileSync(policy, "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules:\n- level: Metadata\n");
  const { url, numbers } = report("long", log, "--policy", policy);
  assert.equal(numbers.overview.events, 20_000);
  const page = await open(url);
  await go(page, "events");
  const elements = () => page.locator("*").count();
  const before = await elements();
  await page.locator(".events .list").focus();
  await page.keyboard.press("End");
  await page.locator(`[aria-rowindex="${numbers.overview.events + 1}"]`).waitFor();
  assert.ok((await elements()) < before + 200);
  for (const name of pages) {
    await go(page, name);
    assert.ok((await elements()) < 8_000, name);
  }
});

test("filters act on every page, and every number leads to its events", async () => {
  const { url, numbers } = report("filters", sample);
  const page = await open(url);
  const total = () => page.locator(".card h2 small").innerText().then(digits);
  await go(page, "events");
  assert.equal(await total(), numbers.overview.events);

  for (const field of ["namespace", "user", "code", "severity", "tag"]) {
    const select = page.locator(`[data-filter="${field}"]`);
    // The last that there is: the least frequent, or the gravest severity.
    const option = select.locator("option").last();
    const expected = digits((await option.innerText()).match(/\(([\d,]+)\)$/)[1]);
    await select.selectOption(await option.getAttribute("value"));
    assert.equal(await total(), expected, field);
    for (const name of pages) {
      await go(page, name);
      await page.locator(".chips").waitFor();
    }
    await page.locator(".chips button").first().click();
    assert.equal(await total(), numbers.overview.events);
  }

  const middle = Math.floor((numbers.overview.first + numbers.overview.last) / 2000) * 1000;
  const halves = [];
  for (const field of ["from", "to"]) {
    await page.locator(`[data-filter="${field}"]`).fill(new Date(middle).toISOString().slice(0, 19));
    halves.push(await total());
    await page.locator(".chips .clear").click();
  }
  assert.equal(halves[0] + halves[1], numbers.overview.events);

  await page.locator('[data-filter="text"]').fill("SECRET");
  assert.ok((await total()) > 0 && (await total()) < numbers.overview.events);
  await page.locator(".chips .clear").click();

  // A number leads to its events.
  await go(page, "overview");
  const deletions = page.locator("tr", { hasText: "Deletions" }).locator("button.number").first();
  const count = digits(await deletions.innerText());
  await deletions.click();
  assert.equal(await total(), count);
  await page.locator(".chips .clear").click();

  // A bar filters.
  await go(page, "overview");
  const canvas = page.locator(".chart canvas").first();
  const { width, height } = await canvas.boundingBox();
  await canvas.click({ position: { x: width * 0.75, y: height * 0.5 } });
  await page.locator(".chips li", { hasText: "Time" }).waitFor();
  await page.locator(".chips .clear").click();

  // So does the table that stands for the chart.
  await page.getByRole("button", { name: "As a table" }).first().click();
  const inTable = page.locator(".chart .short tbody button.number");
  const sum = (await inTable.allInnerTexts()).reduce((all, one) => all + digits(one), 0);
  assert.equal(sum, numbers.overview.events);
});

test("an event opens with its explanation and its text", async () => {
  const { url } = report("detail", sample);
  const page = await open(url);
  await page.locator('[data-filter="severity"]').selectOption("critical");
  await go(page, "events");
  await page.locator(".events .message").first().click();
  const dialog = page.locator("dialog");
  await dialog.locator(".why").waitFor();
  const labels = await dialog.locator(".why th").allInnerTexts();
  for (const label of ["event", "policy", "level", "operator", "source", "action", "rules", "fate"]) {
    assert.ok(labels.includes(label), `${label} in ${labels}`);
  }
  const event = JSON.parse(await dialog.locator("pre").innerText());
  assert.equal(event.audit.severity, "critical");
  const explained = execFileSync(hostHarness, ["explain", "--audit-id", event.auditID, sample], { encoding: "utf8" });
  const fate = await dialog.locator(".why tr", { hasText: "fate" }).locator("td").innerText();
  assert.ok(explained.includes(fate), `${fate} in ${explained}`);
  await accessible(page, "detail");
  await page.screenshot({ path: join(screenshots, "detail.png") });
  await page.keyboard.press("Escape");
  await dialog.waitFor({ state: "detached" });
});

test("a hostile event does nothing but stand there", async () => {
  const attack = `</script><script>alert(1)</script><img src=x onerror="alert(2)"><svg onload=alert(3)>`;
  const event = {
    kind: "Event",
    apiVersion: "audit.k8s.io/v1",
    level: "RequestResponse",
    auditID: attack,
    stage: "ResponseComplete",
    requestURI: `/api/v1/namespaces/x/pods/${attack}/exec?command=${encodeURIComponent(attack)}`,
    verb: "create",
    user: { username: attack, groups: [attack] },
    sourceIPs: ["203.0.113.7"],
    userAgent: attack,
    objectRef: { resource: "pods", namespace: attack, name: attack, apiVersion: "v1", subresource: "exec" },
    responseStatus: { metadata: {}, code: 101 },
    requestObject: { metadata: { name: attack } },
    stageTimestamp: "2026-03-02T08:00:00Z",
    annotations: { [attack]: attack },
  };
  const log = join(work, "hostile.jsonl");
  writeFileSync(log, `${JSON.stringify(event)}\n`);
  const { url } = report("hostile", log);
  assert.ok(!readFileSync(join(work, "hostile.html"), "utf8").includes("alert("));
  const page = await open(url);
  for (const name of pages) {
    await go(page, name);
    assert.equal(await page.locator("img, svg, script[src]").count(), 0, name);
  }
  assert.ok((await page.locator(".events .message").first().innerText()).includes("<img"));
  await page.locator(".events .message").first().click();
  await page.locator("dialog .why").waitFor();
  assert.equal(JSON.parse(await page.locator("dialog pre").innerText()).userAgent, attack);
  assert.equal(await page.locator("img, svg").count(), 0);

  // And the page could not load anything if it wanted to.
  const loaded = await page.evaluate(async () => {
    const tried = [];
    tried.push(await fetch("https://example.com/").then(() => "fetched", () => "refused"));
    tried.push(await new Promise((resolve) => {
      const image = new Image();
      image.onload = () => resolve("loaded");
      image.onerror = () => resolve("refused");
      image.src = "https://example.com/x.png";
    }));
    try {
      document.body.innerHTML = "<b>x</b>";
      tried.push("written");
    } catch {
      tried.push("refused");
    }
    return tried;
  });
  assert.deepEqual(loaded, ["refused", "refused", "refused"]);
  complaints = complaints.filter((complaint) => !/Content.Security.Policy|Trusted|example\.com/.test(complaint));
});

test("the playground answers each change, and a link carries it", async () => {
  const page = await open(pathToFileURL(template).href);
  const numberOf = (name) => page.locator(`[data-number="${name}"]`).innerText();
  const shows = (name, value) => page.locator(`[data-number="${name}"]`, { hasText: new RegExp(`^${value}$`) }).waitFor();
  await shows("read", 10);
  assert.equal(digits(await numberOf("kept")) + digits(await numberOf("dropped")), 10);
  await accessible(page, "playground");
  await page.screenshot({ path: join(screenshots, "playground-light.png"), fullPage: true });

  // A policy that wants nothing.
  const editor = page.locator(".cm-content");
  const write = async (text) => {
    await editor.click();
    await page.keyboard.press("Control+A");
    await page.keyboard.insertText(text);
  };
  await write("apiVersion: audit.k8s.io/v1\nkind: Policy\nrules:\n- level: None\n");
  await shows("dropped", 10);
  assert.equal(await numberOf("kept"), "0");
  assert.equal(await numberOf("saved"), "100%");

  // One that wants metadata of all: bodies go.
  await write("apiVersion: audit.k8s.io/v1\nkind: Policy\nrules:\n- level: Metadata\n");
  await shows("kept", 10);
  assert.equal(await numberOf("trimmed"), "5");

  // One with a mistake, at its line.
  await write("apiVersion: audit.k8s.io/v1\nkind: Policy\nrules:\n- verbs: [get]\n  level: Meta\n");
  const problem = page.locator(".problems li").first();
  await problem.waitFor();
  assert.match(await problem.innerText(), /audit-policy\.yaml, line 5/);
  await page.locator(".cm-lint-marker-error").waitFor();
  assert.equal((await page.locator(".cm-lintRange-error").allInnerTexts()).join("").trim(), "level: Meta");
  await page.locator("#theme").selectOption("dark");
  await accessible(page, "playground with a problem, dark");
  await page.screenshot({ path: join(screenshots, "playground-dark.png"), fullPage: true });
  await write("apiVersion: audit.k8s.io/v1\nkind: Policy\nrules:\n- level: Metadata\n  verbs: [get]\n");
  await shows("kept", 1);

  // The rules count, too.
  const tagged = digits(await numberOf("tagged"));
  await page.locator("#tab-rules").click();
  await write("title: Every get\nid: every-get\nlevel: low\ntags: [audit.demo]\nlogsource: {product: kubernetes, service: audit}\ndetection: {selection: {verb: get}, condition: selection}\n");
  await page.locator(".names", { hasText: "demo" }).waitFor();
  assert.ok(digits(await numberOf("tagged")) >= tagged);

  // The link brings all of it back.
  await page.getByRole("button", { name: "Share" }).click();
  const url = await page.locator(".share input").inputValue();
  const other = await open(url);
  await other.locator(".names", { hasText: "demo" }).waitFor();
  assert.equal(await other.locator('[data-number="kept"]').innerText(), "1");

  // A dropped file takes the sample's place, and the reports show it.
  await page.locator("input[type=file]").setInputFiles(sample);
  await shows("read", 400);
  await go(page, "overview");
  await page.locator(".tile.all .number").waitFor();
});
