// What the engine says, in JSON: the types of plugin/report/src/{reports,counts,tally}.rs.

export type Severity = "none" | "informational" | "low" | "medium" | "high" | "critical";

export interface Count {
  name: string;
  events: number;
}

export interface Top<T> {
  rows: T[];
  names: number;
}

export interface Timeline {
  start: number;
  width: number;
  series: string[];
  events: number[][];
}

export interface Tally {
  read: number;
  kept: number;
  trimmed: number;
  dropped: number;
  passed_through: number;
  filtered_before: number;
  tagged: number;
  bytes_in: number;
  bytes_out: number;
  by_route: Record<string, number>;
  by_tag: Record<string, number>;
}

export interface Operator {
  name: string;
  type: string;
  events: number;
  grave: number;
  failures: number;
}

export interface SourceAddress {
  address: string;
  scope: string;
  high_risk: boolean;
  events: number;
  grave: number;
}

export interface Priority {
  name: string;
  tags: string[];
  events: number;
  grave: number;
  operators: number;
  last: number | null;
}

export interface RuleCount {
  id: string;
  title: string;
  severity: Severity;
  events: number;
}

export interface Alert {
  rule: string;
  title: string;
  severity: Severity;
  group: string;
  events: number;
  highest: number;
  window_seconds: number;
  last: number | null;
}

export interface Overview {
  events: number;
  first: number | null;
  last: number | null;
  severities: Count[];
  timeline: Timeline;
  operators: Top<Operator>;
  sources: Top<SourceAddress>;
  scopes: Count[];
  outcomes: Count[];
  codes: Count[];
  priorities: Priority[];
  rules: Top<RuleCount>;
  alerts: Top<Alert>;
}

export interface Operations {
  resource: string;
  events: number;
  create: number;
  update: number;
  delete: number;
  access: number;
  failures: number;
}

export interface ClassOperations {
  class: string;
  events: number;
  timeline: Timeline;
  resources: Top<Operations>;
}

export interface ResourceDetails {
  resource: string;
  class: string;
  events: number;
  successes: number;
  failures: number;
  success_rate: number | null;
  namespaces: Top<Count>;
  operators: Top<Count>;
  verbs: Count[];
  timeline: Timeline;
}

export interface CveRisk {
  rule: string;
  title: string;
  cves: string[];
  severity: Severity;
  events: number;
  operators: Count[];
  first: number | null;
  last: number | null;
}

export interface CveRisks {
  events: number;
  timeline: Timeline;
  rules: CveRisk[];
}

export interface Place {
  name: string;
  events: number;
  grave: number;
}

export interface Command {
  id: number;
  time: number | null;
  severity: Severity;
  command: string;
  resource: string;
}

export interface Session {
  user: string;
  source_ip: string;
  pod: string;
  container: string;
  severity: Severity;
  first: number | null;
  last: number | null;
  events: number;
  commands: Command[];
}

export interface Containers {
  events: number;
  grave: number;
  pods: Top<Place>;
  accounts: Top<Place>;
  sessions: Top<Session>;
}

export interface ListedEvent {
  id: number;
  time: number | null;
  severity: Severity;
  code: number;
  user: string;
  verb: string;
  namespace: string;
  resource: string;
  name: string;
  source_ip: string;
  message: string;
  tags: string[];
}

export interface Events {
  total: number;
  rows: ListedEvent[];
}

export type Field =
  | "namespace"
  | "user"
  | "user_type"
  | "code"
  | "severity"
  | "tag"
  | "rule"
  | "alert"
  | "class"
  | "resource"
  | "verb"
  | "action"
  | "outcome"
  | "source_ip"
  | "scope"
  | "pod"
  | "route";

export type Fields = Partial<Record<Field, string[]>>;

export interface Filter {
  from: number | null;
  to: number | null;
  text: string;
  fields: Fields;
}

export interface Report {
  overview: Overview;
  operations: ClassOperations[];
  resources: Top<ResourceDetails>;
  cves: CveRisks;
  containers: Containers;
}

/** What there is before anything is chosen. */
export interface Start {
  choices: Choices;
  /** The titles of the rules that hold, by id. */
  titles: Record<string, string>;
  report: Report;
}

export type Choices = Partial<Record<Field, Count[]>>;

/** What the event says, or a sentence of the engine's: a list of a template and what stands in each of its {}. */
export type Said = string | Said[];

export interface Line {
  label: string;
  text: Said;
}

/** One event: why it met its fate, and its text. */
export interface Detail {
  lines: Line[];
  event: string;
}

export type Fate = "kept" | "trimmed" | "dropped" | "passed_through" | "filtered_before";

export interface Problem {
  severity: "error" | "warning";
  file: string;
  line: number;
  field: string;
  message: string;
}
