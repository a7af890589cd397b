// The reports: each asks the engine for its numbers and shows them.
import { useMemo, useState } from "preact/hooks";
import { useApp } from "./app";
import { TimeChart } from "./chart";
import { EventsPage } from "./events";
import { isEverything } from "./filter";
import { named, number, percent, said, t, time } from "./i18n";
import { type Column, Table } from "./table";
import type {
  Alert,
  ClassOperations,
  Containers,
  Count,
  CveRisk,
  CveRisks,
  Field,
  Fields,
  Filter,
  Operations,
  Operator,
  Overview,
  Place,
  Priority,
  Report,
  ResourceDetails,
  RuleCount,
  Session,
  Severity,
  SourceAddress,
} from "./types";
import { Badge, Bar, Card, Choose, Drill, Nothing, Waiting } from "./widgets";
import type { Log } from "engine";

/** What the engine says under the present filter. What it said already of everything, `known`, need not be asked again. */
function useReport<T>(
  known: (report: Report) => T | undefined,
  ask: (log: Log, filter: string) => string,
  also: unknown[] = [],
): T | undefined {
  const { source, filter } = useApp();
  return useMemo(() => {
    if (!source) return undefined;
    const first = isEverything(filter) ? known(source.start.report) : undefined;
    return first ?? (source.log && (JSON.parse(ask(source.log, JSON.stringify(filter))) as T));
  }, [source, filter, ...also]);
}

const severities: Severity[] = ["none", "informational", "low", "medium", "high", "critical"];

const grave: Severity[] = ["high", "critical"];

/** When, on one line. */
function Time(props: { at: number | null }) {
  return <span class="time">{time(props.at)}</span>;
}

/** Columns of how many events there are, and how many grave ones. */
function eventColumns<T extends { events: number; grave: number }>(
  rows: T[],
  what: (row: T) => string,
  fields: (row: T) => Fields,
): Column<T>[] {
  const most = Math.max(1, ...rows.map((row) => row.events));
  return [
    {
      title: t("all_events"),
      numeric: true,
      value: (row) => row.events,
      show: (row) => (
        <>
          <Bar part={row.events} whole={most} />
          <Drill events={row.events} fields={fields(row)} what={what(row)} />
        </>
      ),
    },
    {
      title: t("grave_events"),
      numeric: true,
      value: (row) => row.grave,
      show: (row) => (
        <Drill events={row.grave} fields={{ ...fields(row), severity: grave }} what={`${what(row)}, ${t("grave_events")}`} />
      ),
    },
  ];
}

export function OverviewPage() {
  const report = useReport<Overview>((report) => report.overview, (log, filter) => log.overview(filter));
  const { filter } = useApp();
  if (!report) return <Waiting />;
  if (report.events === 0) return <Nothing>{t("no_events")}</Nothing>;
  return (
    <div class="cards">
      <ul class="tiles">
        {report.severities
          .slice()
          .reverse()
          .map(({ name, events }) => (
            <li key={name} class={`tile ${name}`}>
              <span class="what">{named(`severity_${name}`)}</span>
              <Drill events={events} fields={{ severity: [name] }} what={named(`severity_${name}`)} />
              <span class="share">{percent(events, report.events)}</span>
            </li>
          ))}
        <li class="tile all">
          <span class="what">{t("all_events")}</span>
          <Drill events={report.events} fields={{}} what={t("all_events")} />
          <span class="share">
            {[...new Set([report.first, report.last].map((at) => time(at).slice(0, 10)))].join(" – ")}
          </span>
        </li>
      </ul>
      <Card title={t("over_time")} note={t("by_severity")} wide>
        <TimeChart timeline={report.timeline} field="severity" label={`${t("over_time")}, ${t("by_severity")}`} />
      </Card>
      <Card title={t("priorities")}>
        <Priorities rows={report.priorities} filter={filter} />
      </Card>
      <Card title={t("rules")}>
        <Rules rows={report.rules.rows} names={report.rules.names} />
      </Card>
      <Card title={t("alerts")} wide>
        {report.alerts.rows.length === 0 ? <Nothing>{t("no_alerts")}</Nothing> : <Alerts rows={report.alerts.rows} />}
      </Card>
      <Card title={t("top_operators")}>
        <Operators rows={report.operators.rows} names={report.operators.names} />
      </Card>
      <Card title={t("sources")}>
        <Sources rows={report.sources.rows} names={report.sources.names} />
      </Card>
      <Card title={t("codes")}>
        <Counts rows={report.codes} names={report.codes.length} title={t("code")} field="code" />
      </Card>
      <Card title={t("outcomes")}>
        <Counts rows={report.outcomes} names={report.outcomes.length} title={t("outcome")} field="outcome" word={said} />
        <Counts rows={report.scopes} names={report.scopes.length} title={t("scope")} field="scope" word={said} />
      </Card>
    </div>
  );
}

function Priorities(props: { rows: Priority[]; filter: Filter }) {
  return (
    <Table
      caption={t("priorities")}
      rows={props.rows}
      columns={[
        { title: t("kind"), value: (row) => named(row.name), show: (row) => <Choose fields={{ tag: row.tags }}>{named(row.name)}</Choose> },
        ...eventColumns(props.rows, (row) => named(row.name), (row) => ({ tag: row.tags })),
        {
          title: t("operators"),
          numeric: true,
          value: (row) => row.operators,
          show: (row) => <Drill events={row.operators} of={t("operators")} fields={{ tag: row.tags }} what={named(row.name)} />,
        },
        { title: t("last"), value: (row) => row.last, show: (row) => <Time at={row.last} /> },
      ]}
    />
  );
}

function Alerts(props: { rows: Alert[] }) {
  return (
    <Table
      caption={t("alerts")}
      rows={props.rows}
      columns={[
        { title: t("severity"), value: (row) => severities.indexOf(row.severity), show: (row) => <Badge severity={row.severity} /> },
        { title: t("alert"), value: (row) => said(row.title), show: (row) => <Choose fields={{ alert: [row.rule] }}>{said(row.title)}</Choose> },
        { title: t("group"), value: (row) => row.group },
        {
          title: t("fired_on"),
          numeric: true,
          value: (row) => row.events,
          show: (row) => <Drill events={row.events} fields={{ alert: [row.rule] }} what={said(row.title)} />,
        },
        {
          title: t("highest"),
          numeric: true,
          value: (row) => row.highest,
          show: (row) => <Drill events={row.highest} of={t("highest")} fields={{ alert: [row.rule] }} what={said(row.title)} />,
        },
        { title: t("window"), numeric: true, value: (row) => row.window_seconds, show: (row) => `${number(row.window_seconds)} s` },
        { title: t("last"), value: (row) => row.last, show: (row) => <Time at={row.last} /> },
      ]}
    />
  );
}

function Operators(props: { rows: Operator[]; names: number }) {
  return (
    <Table
      caption={t("top_operators")}
      rows={props.rows}
      names={props.names}
      columns={[
        {
          title: t("user"),
          value: (row) => row.name,
          show: (row) => (
            <>
              <Choose fields={{ user: [row.name] }}>{row.name}</Choose>
              <small class="under">{said(row.type)}</small>
            </>
          ),
        },
        ...eventColumns(props.rows, (row) => row.name, (row) => ({ user: [row.name] })),
        {
          title: t("failures"),
          numeric: true,
          value: (row) => row.failures,
          show: (row) => <Drill events={row.failures} fields={{ user: [row.name], outcome: ["failure"] }} what={`${row.name}, ${t("failures")}`} />,
        },
      ]}
    />
  );
}

function Sources(props: { rows: SourceAddress[]; names: number }) {
  return (
    <Table
      caption={t("sources")}
      rows={props.rows}
      names={props.names}
      columns={[
        {
          title: t("address"),
          value: (row) => row.address,
          show: (row) => (
            <>
              <Choose fields={{ source_ip: [row.address] }}>{row.address}</Choose>
              {row.high_risk && <small class="under danger">{t("high_risk_list")}</small>}
            </>
          ),
        },
        {
          title: t("scope"),
          value: (row) => said(row.scope),
          show: (row) => (
            <Choose fields={{ scope: [row.scope] }}>
              <span class={`scope ${row.scope}`}>{said(row.scope)}</span>
            </Choose>
          ),
        },
        ...eventColumns(props.rows, (row) => row.address, (row) => ({ source_ip: [row.address] })),
      ]}
    />
  );
}

function Rules(props: { rows: RuleCount[]; names: number }) {
  const most = Math.max(1, ...props.rows.map((row) => row.events));
  return (
    <Table
      caption={t("rules")}
      rows={props.rows}
      names={props.names}
      columns={[
        { title: t("rule"), value: (row) => said(row.title), show: (row) => <Choose fields={{ rule: [row.id] }}>{said(row.title)}</Choose> },
        {
          title: t("all_events"),
          numeric: true,
          value: (row) => row.events,
          show: (row) => (
            <>
              <Bar part={row.events} whole={most} />
              <Drill events={row.events} fields={{ rule: [row.id] }} what={said(row.title)} />
            </>
          ),
        },
      ]}
    />
  );
}

/** Names, each with its number of events. */
function Counts(props: {
  rows: Count[];
  names: number;
  title: string;
  field: Field;
  narrow?: Fields;
  /** What to call a name. */
  word?(name: string): string;
}) {
  const word = props.word ?? ((name: string) => name);
  const most = Math.max(1, ...props.rows.map((row) => row.events));
  return (
    <Table
      caption={props.title}
      rows={props.rows}
      names={props.names}
      columns={[
        {
          title: props.title,
          value: (row) => word(row.name),
          show: (row) => <Choose fields={{ [props.field]: [row.name] }}>{word(row.name)}</Choose>,
        },
        {
          title: t("all_events"),
          numeric: true,
          value: (row) => row.events,
          show: (row) => (
            <>
              <Bar part={row.events} whole={most} />
              <Drill events={row.events} fields={{ ...props.narrow, [props.field]: [row.name] }} what={word(row.name)} />
            </>
          ),
        },
      ]}
    />
  );
}

const actions = ["create", "update", "delete", "access"] as const;

export function OperationsPage() {
  const report = useReport<ClassOperations[]>((report) => report.operations, (log, filter) => log.operations(filter));
  const app = useApp();
  if (!report) return <Waiting />;
  const present = report.filter((one) => one.events > 0);
  if (present.length === 0) return <Nothing>{t("no_events")}</Nothing>;
  const drill = (row: Operations, action: (typeof actions)[number]) => (
    <Drill events={row[action]} fields={{ resource: [row.resource], action: [action] }} what={`${row.resource}, ${t(action)}`} />
  );
  return (
    <div class="cards">
      {present.map((one, index) => (
        <Card key={one.class} title={named(one.class)} note={`${number(one.events)} ${t("events")}`} wide={index === present.length - 1 && index % 2 === 0}>
          <TimeChart timeline={one.timeline} field="action" label={`${named(one.class)}, ${t("by_action")}`} />
          <Table
            caption={named(one.class)}
            rows={one.resources.rows}
            names={one.resources.names}
            columns={[
              {
                title: t("resource"),
                value: (row) => row.resource,
                show: (row) => (
                  <button type="button" class="name" onClick={() => app.showResource(row.resource)}>
                    {row.resource}
                  </button>
                ),
              },
              ...actions.map((action) => ({
                title: t(action),
                numeric: true,
                value: (row: Operations) => row[action],
                show: (row: Operations) => drill(row, action),
              })),
              {
                title: t("failures"),
                numeric: true,
                value: (row) => row.failures,
                show: (row) => (
                  <Drill events={row.failures} fields={{ resource: [row.resource], outcome: ["failure"] }} what={`${row.resource}, ${t("failures")}`} />
                ),
              },
            ]}
          />
        </Card>
      ))}
    </div>
  );
}

export function ResourcePage(props: {
  resource: string;
  setResource(resource: string): void;
  choices: Count[];
  openEvent(id: number, title: string): void;
}) {
  const { source } = useApp();
  const resource = props.resource || props.choices[0]?.name || "";
  const report = useReport<ResourceDetails>(
    (report) => report.resources.rows.find((row) => row.resource === resource),
    (log, filter) => log.resource(filter, resource),
    [resource],
  );
  const [typed, setTyped] = useState(resource);
  if (!source || !report) return <Waiting />;
  const fields = { resource: [resource] };
  return (
    <>
      <form
        class="pick"
        onSubmit={(event) => {
          event.preventDefault();
          props.setResource(typed.trim());
        }}
      >
        <label>
          {t("pick_resource")}
          <input
            key={resource}
            list="resources"
            defaultValue={resource}
            placeholder={t("pick_resource_hint")}
            onInput={(event) => setTyped(event.currentTarget.value)}
            onChange={(event) => props.setResource(event.currentTarget.value.trim())}
          />
        </label>
        <datalist id="resources">
          {props.choices.map(({ name }) => (
            <option key={name} value={name} />
          ))}
        </datalist>
      </form>
      {report.events === 0 ? (
        <Nothing>{t("no_events")}</Nothing>
      ) : (
        <div class="cards three">
          <ul class="tiles">
            <li class="tile all">
              <span class="what">{t("all_events")}</span>
              <Drill events={report.events} fields={fields} what={resource} />
              <span class="share">{named(report.class)}</span>
            </li>
            <li class="tile">
              <span class="what">{t("success_rate")}</span>
              <span class="figure">{report.success_rate === null ? "–" : percent(report.success_rate, 1)}</span>
            </li>
            <li class="tile high">
              <span class="what">{t("failures")}</span>
              <Drill events={report.failures} fields={{ ...fields, outcome: ["failure"] }} what={`${resource}, ${t("failures")}`} />
            </li>
            <li class="tile">
              <span class="what">{t("namespaces")}</span>
              <span class="figure">{number(report.namespaces.names)}</span>
            </li>
          </ul>
          <Card title={t("over_time")} note={t("by_action")} wide>
            <TimeChart timeline={report.timeline} field="action" label={`${resource}, ${t("by_action")}`} />
          </Card>
          <Card title={t("namespaces")}>
            <Counts rows={report.namespaces.rows} names={report.namespaces.names} title={t("namespace")} field="namespace" narrow={fields} />
          </Card>
          <Card title={t("operators")}>
            <Counts rows={report.operators.rows} names={report.operators.names} title={t("user")} field="user" narrow={fields} />
          </Card>
          <Card title={t("verbs")}>
            <Counts rows={report.verbs} names={report.verbs.length} title={t("verb")} field="verb" narrow={fields} />
          </Card>
          <EventsPage fields={fields} openEvent={props.openEvent} />
        </div>
      )}
    </>
  );
}

export function CvesPage() {
  const report = useReport<CveRisks>((report) => report.cves, (log, filter) => log.cves(filter));
  if (!report) return <Waiting />;
  if (report.rules.length === 0) return <Nothing>{t("no_cves")}</Nothing>;
  const columns: Column<CveRisk>[] = [
    { title: t("severity"), value: (row) => severities.indexOf(row.severity), show: (row) => <Badge severity={row.severity} /> },
    { title: "CVE", value: (row) => row.cves.join(" "), show: (row) => <div class="cves">{row.cves.map((cve) => <span key={cve} class="cve">{cve}</span>)}</div> },
    { title: t("rule"), value: (row) => said(row.title), show: (row) => <Choose fields={{ rule: [row.rule] }}>{said(row.title)}</Choose> },
    {
      title: t("operators"),
      value: (row) => row.operators.map(({ name }) => name).join(", "),
      show: (row) => row.operators.slice(0, 3).map(({ name }) => <span key={name} class="line">{name}</span>),
    },
    {
      title: t("all_events"),
      numeric: true,
      value: (row) => row.events,
      show: (row) => <Drill events={row.events} fields={{ rule: [row.rule] }} what={said(row.title)} />,
    },
    { title: t("first"), value: (row) => row.first, show: (row) => <Time at={row.first} /> },
    { title: t("last"), value: (row) => row.last, show: (row) => <Time at={row.last} /> },
  ];
  return (
    <div class="cards">
      <Card title={t("over_time")} note={t("by_severity")} wide>
        <TimeChart timeline={report.timeline} field="severity" label={`${t("cves")}, ${t("by_severity")}`} />
      </Card>
      <Card title={t("cves")} note={number(report.events)} wide>
        <Table caption={t("cves")} rows={report.rules} columns={columns} few={20} />
      </Card>
    </div>
  );
}

export function ContainersPage(props: { openEvent(id: number, title: string): void }) {
  const report = useReport<Containers>((report) => report.containers, (log, filter) => log.containers(filter));
  if (!report) return <Waiting />;
  if (report.events === 0) return <Nothing>{t("no_commands")}</Nothing>;
  const places = (title: string, rows: Place[], field: Field): Column<Place>[] => [
    { title, value: (row) => row.name, show: (row) => <Choose fields={{ [field]: [row.name] }}>{row.name}</Choose> },
    ...eventColumns(rows, (row) => row.name, (row) => ({ [field]: [row.name], pod: field === "pod" ? [row.name] : ["*"] })),
  ];
  return (
    <div class="cards">
      <Card title={t("pods")}>
        <Table caption={t("pods")} rows={report.pods.rows} names={report.pods.names} columns={places(t("pod"), report.pods.rows, "pod")} />
      </Card>
      <Card title={t("accounts")}>
        <Table caption={t("accounts")} rows={report.accounts.rows} names={report.accounts.names} columns={places(t("user"), report.accounts.rows, "user")} />
      </Card>
      <Card title={t("sessions")} note={`${number(report.sessions.names)}`} wide>
        <p class="hint">{t("sessions_hint")}</p>
        <ol class="sessions">
          {report.sessions.rows.map((session) => (
            <SessionItem key={`${session.user} ${session.pod} ${session.container} ${session.first}`} session={session} openEvent={props.openEvent} />
          ))}
        </ol>
      </Card>
    </div>
  );
}

function SessionItem(props: { session: Session; openEvent(id: number, title: string): void }) {
  const { session } = props;
  const more = session.events - session.commands.length;
  const to = session.last === null ? null : session.last + 1;
  const fields = { user: [session.user], pod: [session.pod] };
  return (
    <li class={`session ${session.severity}`}>
      <header>
        <Badge severity={session.severity} />
        <strong>{session.user}</strong>
        <span>
          {session.pod}
          {session.container && ` · ${session.container}`}
        </span>
        <span>{session.source_ip}</span>
        <span>{time(session.first)}</span>
        <Drill events={session.events} fields={fields} from={session.first} to={to} what={`${session.user}, ${session.pod}`} />
      </header>
      <ul>
        {session.commands.map((command) => (
          <li key={command.id}>
            <button type="button" class="command" onClick={() => props.openEvent(command.id, command.command || command.resource)}>
              <time>{time(command.time).slice(11)}</time>
              <code>{command.command || <em>{command.resource}</em>}</code>
              {command.severity !== "none" && <Badge severity={command.severity} />}
            </button>
          </li>
        ))}
        {more > 0 && (
          <li class="hint">
            +{number(more)} {t("more_commands")}
          </li>
        )}
      </ul>
    </li>
  );
}
