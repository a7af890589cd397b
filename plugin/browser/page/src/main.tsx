// The page: where the reader is, what is chosen, and the report about that.
import { render } from "preact";
import { useEffect, useMemo, useState } from "preact/hooks";
import { type App, AppContext, type Page, pages } from "./app";
import { embedded, type Source, startEngine } from "./data";
import { DetailDialog } from "./detail";
import { EventsPage } from "./events";
import { everything, narrowed } from "./filter";
import { FilterBar } from "./filterbar";
import { currentLanguage, type Language, number, setLanguage, t, time, type Word } from "./i18n";
import { firstTexts, PlaygroundPage } from "./playground";
import { ContainersPage, CvesPage, OperationsPage, OverviewPage, ResourcePage } from "./reports";
import { fromHash, type Shared } from "./share";
import "./style.css";
import type { Choices, Detail, Overview } from "./types";

type Theme = "auto" | "light" | "dark";

function Audit(props: { report: Source | undefined; shared: Shared | undefined }) {
  const [page, setPage] = useState<Page>(props.shared || !props.report ? "playground" : "overview");
  const [language, chooseLanguage] = useState<Language>(currentLanguage());
  const [theme, setTheme] = useState<Theme>("auto");
  const [dark, setDark] = useState(() => matchMedia("(prefers-color-scheme: dark)").matches);
  const [filter, setFilter] = useState(everything);
  const [resource, setResource] = useState("");
  const [shown, setShown] = useState<{ title: string; detail: Promise<Detail> }>();
  const [playgroundTexts, setPlaygroundTexts] = useState<Shared>(() => props.shared ?? firstTexts());
  const [played, setPlayed] = useState<Source>();
  const source = props.report ?? played;

  setLanguage(language);
  document.documentElement.dataset.theme = theme;
  useEffect(() => {
    const query = matchMedia("(prefers-color-scheme: dark)");
    const follow = () => setDark(query.matches);
    query.addEventListener("change", follow);
    return () => query.removeEventListener("change", follow);
  }, []);

  const choices = useMemo(() => (source ? (JSON.parse(source.log.choices()) as Choices) : {}), [source]);
  const span = useMemo(
    () => (source ? (JSON.parse(source.log.overview(JSON.stringify(everything))) as Overview) : undefined),
    [source],
  );
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
            {number(span.events)} {t("all_events")} · {time(span.first)} – {time(span.last)} UTC
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
        {page === "playground" ? (
          <PlaygroundPage begin={playgroundTexts} remember={setPlaygroundTexts} publish={setPlayed} />
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
    await startEngine();
    const [report, shared] = await Promise.all([embedded(), fromHash(location.hash)]);
    render(<Audit report={report} shared={shared} />, root);
  } catch (error) {
    render(<p class="broken">{`${t("broken")}: ${error}`}</p>, root);
  }
  document.documentElement.dataset.ready = "";
}

const root = document.getElementById("app");
if (root) void start(root);
