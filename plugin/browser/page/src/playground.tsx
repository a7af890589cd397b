// The playground: a log, and a policy and rules that are being written. Each change filters anew.
import { builtin_policies, builtin_policy, Playground } from "engine";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { useApp } from "./app";
import { type Source, through } from "./data";
import { Editor } from "./editor";
import { bytes, number, percent, t, tagged, type Word } from "./i18n";
import * as sample from "./sample";
import { type Shared, toHash } from "./share";
import type { Fate, Line, Problem, Severity, Start, Tally } from "./types";
import { Badge, Bar, Card, Nothing } from "./widgets";

/** Events that are filtered before the page looks after its reader again. */
const STEP = 500;

/** How long after a key stroke the filter begins anew, in milliseconds. */
const PAUSE = 250;

/** Rows of the list of events; the reports have the kept ones all. */
const LISTED = 200;

const DEFAULT_POLICY = "ack-default";

type TextName = "policy" | "rules" | "configuration";

/** Which file of the engine's a text is. */
const files: Record<TextName, string> = {
  policy: "audit-policy.yaml",
  rules: "rules.yml",
  configuration: "audit-filter.yaml",
};

const names = Object.keys(files) as TextName[];

export function firstTexts(): Shared {
  return {
    policy: builtin_policy(DEFAULT_POLICY) ?? "",
    rules: sample.rules,
    configuration: sample.configuration,
    log: sample.log,
  };
}

interface Result {
  tally: Tally;
  done: boolean;
}

export function PlaygroundPage(props: { begin: Shared; remember(shared: Shared): void; publish(source: Source): void }) {
  const app = useApp();
  const [texts, setTexts] = useState(props.begin);
  const [content, setContent] = useState<Uint8Array<ArrayBuffer>>(() => new TextEncoder().encode(props.begin.log));
  const [name, setName] = useState("");
  const [tab, setTab] = useState<TextName>("policy");
  const [problems, setProblems] = useState<Problem[]>([]);
  const [usable, setUsable] = useState(true);
  const [result, setResult] = useState<Result>();
  const [fate, setFate] = useState<Fate | "">("");
  const [link, setLink] = useState<{ url: string; events: number }>();
  const [copied, setCopied] = useState(false);
  const playground = useMemo(() => new Playground(), []);
  const run = useRef(0);

  const filter = async () => {
    run.current += 1;
    const mine = run.current;
    playground.load(content);
    const answer = JSON.parse(playground.configure(texts.configuration, texts.policy, texts.rules)) as {
      usable: boolean;
      problems: Problem[];
    };
    setProblems(answer.problems);
    setUsable(answer.usable);
    if (!answer.usable) return;
    for (let done = -1; ; ) {
      const next = playground.step(STEP);
      const finished = next === done || content.length === 0;
      setResult({ tally: JSON.parse(playground.tally()) as Tally, done: finished });
      if (finished) break;
      done = next;
      await new Promise((resolve) => setTimeout(resolve));
      if (run.current !== mine) return;
    }
    const detail = async (id: number) => explained(playground.index_of(id) ?? 0);
    const log = playground.take_log();
    props.publish({ start: JSON.parse(log.start()) as Start, log, detail });
  };

  const explained = (index: number) => {
    const told = JSON.parse(playground.detail(index)) as { lines: Line[] | null; output: string | null; input: string | null };
    return { lines: told.lines ?? [], event: told.output || told.input || "" };
  };

  useEffect(() => {
    const timer = setTimeout(() => void filter(), result ? PAUSE : 0);
    setLink(undefined);
    props.remember({ ...texts, log: texts.log });
    return () => clearTimeout(timer);
  }, [texts.policy, texts.rules, texts.configuration, content]);

  const take = async (file: File | undefined) => {
    if (!file) return;
    let bytes = new Uint8Array(await file.arrayBuffer());
    if (bytes[0] === 0x1f && bytes[1] === 0x8b) bytes = await through(bytes, new DecompressionStream("gzip"));
    setName(file.name);
    setTexts({ ...texts, log: new TextDecoder().decode(bytes.subarray(0, 200_000)) });
    setContent(bytes);
  };
  const write = (text: string) => {
    setName("");
    setTexts({ ...texts, log: text });
    setContent(new TextEncoder().encode(text));
  };
  const share = async () => {
    const { hash, events } = await toHash(texts);
    const url = location.href.split("#")[0] + hash;
    setLink({ url, events });
    setCopied(false);
  };

  /** The arrows go from tab to tab, as everywhere. */
  const turn = (key: string) => {
    const step = key === "ArrowRight" ? 1 : key === "ArrowLeft" ? names.length - 1 : 0;
    const next = names[(names.indexOf(tab) + step) % names.length];
    if (step === 0 || next === undefined) return;
    setTab(next);
    document.getElementById(`tab-${next}`)?.focus();
  };

  const label: Record<TextName, string> = { policy: t("policy"), rules: t("rules_file"), configuration: t("configuration") };
  const own = problems.filter((problem) => problem.file === files[tab]);
  return (
    <div class="playground">
      <Card title={t("texts")}>
        <div class="tabs">
          <div role="tablist" aria-label={t("texts")} onKeyDown={(event) => turn(event.key)}>
            {names.map((one) => {
              const count = problems.filter((problem) => problem.file === files[one]).length;
              return (
                <button
                  key={one}
                  type="button"
                  role="tab"
                  id={`tab-${one}`}
                  aria-selected={tab === one}
                  aria-controls="text"
                  tabIndex={tab === one ? 0 : -1}
                  onClick={() => setTab(one)}
                >
                  {label[one]}
                  {count > 0 && <span class="count">{count}</span>}
                </button>
              );
            })}
          </div>
          {tab === "policy" && (
            <label class="start">
              {t("start_from")}
              <select
                value=""
                onChange={(event) => {
                  const policy = builtin_policy(event.currentTarget.value);
                  event.currentTarget.value = "";
                  if (policy) setTexts({ ...texts, policy });
                }}
              >
                <option value="">…</option>
                {(JSON.parse(builtin_policies()) as string[]).map((policy) => (
                  <option key={policy}>{policy}</option>
                ))}
              </select>
            </label>
          )}
        </div>
        <div id="text" role="tabpanel" aria-labelledby={`tab-${tab}`}>
          <Editor key={tab} label={label[tab]} text={texts[tab]} problems={own} change={(text) => setTexts({ ...texts, [tab]: text })} />
        </div>
        <p class="hint">{t("editor_hint")}</p>
        <h3>{t("problems")}</h3>
        <div class="problems" role="status">
          {problems.length === 0 ? (
            <p class="hint">{t("no_problems")}</p>
          ) : (
            <ul>
              {problems.map((problem, index) => (
                <li key={index} class={problem.severity}>
                  <strong>{t(problem.severity as Word)}</strong> {problem.file}
                  {problem.line > 0 && `, ${t("line")} ${problem.line}`}: {problem.field && <code>{problem.field}</code>} {problem.message}
                </li>
              ))}
            </ul>
          )}
          {!usable && <p class="hint">{t("unusable")}</p>}
        </div>
      </Card>
      <div class="column">
        <Card title={t("log")} note={name}>
          <div
            class="drop"
            onDragOver={(event) => event.preventDefault()}
            onDrop={(event) => {
              event.preventDefault();
              void take(event.dataTransfer?.files[0]);
            }}
          >
            <label class="file">
              {t("drop")} <span class="link">{t("choose_file")}</span>
              <input type="file" class="hidden" onChange={(event) => void take(event.currentTarget.files?.[0])} />
            </label>
            <button type="button" onClick={() => write(sample.log)}>
              {t("use_sample")}
            </button>
            <button type="button" onClick={() => void share()}>
              {t("share")}
            </button>
          </div>
          <label class="paste">
            <span>
              {t("paste")} <small>({t("paste_hint")})</small>
            </span>
            <textarea rows={3} spellcheck={false} value={name ? "" : texts.log} onInput={(event) => write(event.currentTarget.value)} />
          </label>
          {link && (
            <div class="share">
              <label>
                {t("share_hint")} {link.events === 0 && t("share_none")}
                <input readOnly value={link.url} onFocus={(event) => event.currentTarget.select()} />
              </label>
              <button type="button" onClick={() => void navigator.clipboard.writeText(link.url).then(() => setCopied(true))}>
                {copied ? t("copied") : t("copy")}
              </button>
            </div>
          )}
        </Card>
        {result && (
          <Card title={t("result")} note={result.done ? "" : t("filtering")}>
            <Numbers tally={result.tally} fate={fate} setFate={setFate} />
            {result.done && <Fates key={`${run.current} ${fate}`} playground={playground} fate={fate} open={(index, told) => app.open(told, Promise.resolve(explained(index)))} />}
            <Names title={t("routes")} counts={result.tally.by_route} whole={result.tally.kept} />
            <Names title={t("tags")} counts={result.tally.by_tag} whole={result.tally.kept} word={tagged} />
          </Card>
        )}
      </div>
    </div>
  );
}

function Numbers(props: { tally: Tally; fate: Fate | ""; setFate(fate: Fate | ""): void }) {
  const { tally } = props;
  const saved = tally.bytes_in - tally.bytes_out;
  const choices: [Fate | "", Word, number][] = [
    ["", "read", tally.read],
    ["kept", "kept", tally.kept],
    ["trimmed", "trimmed", tally.trimmed],
    ["dropped", "dropped", tally.dropped],
    ["passed_through", "passed_through", tally.passed_through],
  ];
  const shown = choices.filter(([fate, , events]) => fate !== "passed_through" || events > 0);
  return (
    <ul class="tiles small">
      {shown.map(([fate, word, events]) => (
        <li key={word} class={`tile ${word}`}>
          <button type="button" aria-pressed={props.fate === fate} onClick={() => props.setFate(fate)}>
            <span class="what">{t(word)}</span>
            <span class="figure" data-number={word}>
              {number(events)}
            </span>
            <span class="share">{percent(events, tally.read)}</span>
          </button>
        </li>
      ))}
      <li class="tile">
        <span class="what">{t("tagged")}</span>
        <span class="figure" data-number="tagged">
          {number(tally.tagged)}
        </span>
        <span class="share">{percent(tally.tagged, tally.kept)}</span>
      </li>
      <li class="tile saved">
        <span class="what">{t("saved")}</span>
        <span class="figure" data-number="saved">
          {percent(saved, tally.bytes_in)}
        </span>
        <span class="share">
          {bytes(tally.bytes_in)} → {bytes(tally.bytes_out)}
        </span>
      </li>
    </ul>
  );
}

interface Told {
  index: number;
  fate: Fate;
  told: string;
  severity: Severity | null;
  route: string | null;
}

function Fates(props: { playground: Playground; fate: Fate | ""; open(index: number, told: string): void }) {
  const list = useMemo(() => JSON.parse(props.playground.list(props.fate, 0, LISTED)) as { total: number; rows: Told[] }, []);
  if (list.total === 0) return <Nothing>{t("no_events")}</Nothing>;
  return (
    <ul class="fates" aria-label={t("events")}>
      {list.rows.map((row) => (
        <li key={row.index} class={row.fate}>
          <span class="fate">{t(row.fate)}</span>
          <button type="button" class="name message" onClick={() => props.open(row.index, row.told)}>
            {row.told}
          </button>
          {row.fate !== "dropped" && (
            <span class="route">
              {row.severity && <Badge severity={row.severity} />} {row.route}
            </span>
          )}
        </li>
      ))}
      {list.total > list.rows.length && <li class="hint">+{number(list.total - list.rows.length)}</li>}
    </ul>
  );
}

function Names(props: { title: string; counts: Record<string, number>; whole: number; word?(name: string): string }) {
  // ATT&CK's tags say the same as the rules' own, in other words.
  const isSecond = (name: string) => Number(name.startsWith("attack."));
  const rows = Object.entries(props.counts).sort(([a, ofA], [b, ofB]) => isSecond(a) - isSecond(b) || ofB - ofA);
  if (rows.length === 0) return null;
  return (
    <>
      <h3>{props.title}</h3>
      <ul class="names">
        {rows.slice(0, 20).map(([name, events]) => (
          <li key={name}>
            <span>{props.word?.(name) ?? name}</span>
            <Bar part={events} whole={props.whole} />
            <span class="numeric">{number(events)}</span>
          </li>
        ))}
      </ul>
    </>
  );
}
