// The page: where the reader is, what is chosen, and the report about that.
import { render } from "preact";
import { useEffect, useMemo, useState } from "preact/hooks";
import { type App, AppContext, type Page, pages } from "./app";
import { embedded, type Source, startEngine } from "./data";
import type { Log } from "engine";
import { DetailDialog } from "./detail";
import { EventsPage } from "./events";
import { everything, narrowed } from "./filter";
import { FilterBar } from "./filterbar";
import { currentLanguage, type Language, number, setLanguage, t, time, type Word } from "./i18n";
import { firstTexts, PlaygroundPage } from "./playground";
import { ContainersPage, CvesPage, OperationsPage, OverviewPage, ResourcePage } from "./reports";
import { fromHash, type Shared } from "./share";
import "./style.css";
import type { Detail } from "./types";

type Theme = "auto" | "light" | "dark";

function Audit(props: { report: Source | undefined; shared: Shared | undefined; engine: Promise<Log | undefined> }) {
  const [page, setPage] = useState<Page>(props.shared || !props.report ? "playground" : "overview");
  const [language, chooseLanguage] = useState<Language>(currentLanguage());
  const [theme, setTheme] = useState<Theme>("auto");
  const [dark, setDark] = useState(() => matchMedia("(prefers-color-scheme: dark)").matches);
  const [filter, setFilter] = useState(everything);
  const [resource, setResource] = useState("");
  const [shown, setShown] = useState<{ title: string; detail: Promise<Detail> }>();
  const [engine, setEngine] = useState<{ log: Log | undefined }>();
  const [failure, setFailure] = useState<string>();
  const [playgroundTexts, setPlaygroundTexts] = useState(props.shared);
  const [played, setPlayed] = useState<Source>();
  const source = useMemo(() => (props.report ? { ...props.report, log: engine?.log } : played), [engine, played]);

  setLanguage(language);
  document.documentElement.dataset.theme = theme;
  useEffect(() => {
    const query = matchMedia("(prefers-color-scheme: dark)");
    const follow = () => setDark(query.matches);
    query.addEventListener("change", follow);
    return () => query.removeEventListener("change", follow);
  }, []);

  useEffect(() => {
    props.engine.then((log) => setEngine({ log }), (error: unknown) => setFailure(String(error)));
  }, []);
  useEffect(() => {
    if (engine || failure) document.documentElement.dataset.ready = "";
  }, [engine, failure]);

  const choices = source?.start.choices ?? {};
  const span = source?.start.report.overview;
  const open = (title: string, detail: Promise<Detail>) => setShown({ title, detail });
  const openEvent = (id: number, title: string) => source && open(title, source.detail(id));
  const app: App = {
    source,
    filter,
    setFilter,
    drill(fields, from, to) {
      const next = narrowed(filter, fields);
      setFilter({ ...next, from: from ?? next.from, to: to ?? next.to });
      setPage("events");
    },
    titles: source?.start.titles ?? {},
    showResource(name) {
      setResource(name);
      setPage("resource");
    },
    open,
    colours: `${theme} ${dark}`,
  };

  return (
    <AppContext.Provider value={app}>
      <a class="skip" href="#main">
        {t("skip")}
      </a>
      <header class="top">
        <h1>{t("title")}</h1>
        {span && span.events > 0 && (
          <p class="span">
            {number(span.events)} {t("events")} · {time(span.first)} – {time(span.last)} UTC
          </p>
        )}
        <div class="settings">
          <label>
            <span class="hidden">{t("language")}</span>
            <select id="language" value={language} onChange={(event) => chooseLanguage(event.currentTarget.value as Language)}>
              <option value="en">English</option>
              <option value="zh">中文</option>
            </select>
          </label>
          <label>
            <span class="hidden">{t("theme")}</span>
            <select id="theme" value={theme} onChange={(event) => setTheme(event.currentTarget.value as Theme)}>
              {(["auto", "light", "dark"] as const).map((one) => (
                <option key={one} value={one}>
                  {t(`theme_${one}`)}
                </option>
              ))}
            </select>
          </label>
        </div>
        <nav aria-label={t("pages")}>
          {pages.map((one) => (
            <button key={one} type="button" data-page={one} aria-current={page === one ? "page" : undefined} onClick={() => setPage(one)}>
              {t(one as Word)}
            </button>
          ))}
        </nav>
      </header>
      <main id="main" tabIndex={-1}>
        {failure && <p class="broken">{`${t("broken")}: ${failure}`}</p>}
        {page === "playground" ? (
          engine && <PlaygroundPage begin={playgroundTexts ?? firstTexts()} remember={setPlaygroundTexts} publish={setPlayed} />
        ) : source ? (
          <>
            <FilterBar choices={choices} />
            {page === "overview" && <OverviewPage />}
            {page === "operations" && <OperationsPage />}
            {page === "resource" && <ResourcePage resource={resource} setResource={setResource} choices={choices.resource ?? []} openEvent={openEvent} />}
            {page === "cves" && <CvesPage />}
            {page === "containers" && <ContainersPage openEvent={openEvent} />}
            {page === "events" && <EventsPage openEvent={openEvent} />}
          </>
        ) : (
          <section class="empty">
            <h2>{t("no_data")}</h2>
            <p>{t("no_data_hint")}</p>
            <button type="button" onClick={() => setPage("playground")}>
              {t("open_playground")}
            </button>
          </section>
        )}
      </main>
      <footer>{t("privacy")}</footer>
      {shown && <DetailDialog title={shown.title} detail={shown.detail} close={() => setShown(undefined)} />}
    </AppContext.Provider>
  );
}

async function start(root: HTMLElement): Promise<void> {
  setLanguage(currentLanguage());
  try {
    const [report, shared] = await Promise.all([embedded(), fromHash(location.hash)]);
    // Once the browser has had time to paint.
    const engine = new Promise((painted) => setTimeout(painted)).then(startEngine);
    render(<Audit report={report} shared={shared} engine={engine} />, root);
  } catch (error) {
    render(<p class="broken">{`${t("broken")}: ${error}`}</p>, root);
  }
}

const root = document.getElementById("app");
if (root) void start(root);
