//! What the records add up to, under a filter: the pages of the audit centre, in numbers.
//!
//! Each function takes the chosen rows, sorted by time. The command line writes what they return as JSON, and the page
//! shows the same.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde::Serialize;

use crate::counts::{self, Count, Sum, Timeline, Top};
use crate::filter::{Field, Filter};
use crate::records::{ACTIONS, Records, Row, SEVERITIES, SUCCESS, TextId, action_index, severity_name};
use crate::tally::Tally;

/// Rows of each table. A log may have a name for each event, and nobody reads on.
const MOST_ROWS: usize = 100;

/// Commands that are listed of each session.
const MOST_COMMANDS: usize = 50;

/// Commands by one user in one container belong together as long as no more time than this passes between two, in
/// milliseconds.
const SESSION_PAUSE: i64 = 15 * 60 * 1000;

/// What ACK's audit centre calls high-priority events, and the tags that tell them.
const PRIORITIES: [(&str, &[&str]); 6] = [
    ("ram-users", &["ram-user"]),
    ("public-access", &["public-access"]),
    ("container-commands", &["exec", "attach", "container-command"]),
    ("deletions", &["resource-delete"]),
    ("secret-access", &["secret-access"]),
    ("cve-risks", &[CVE]),
];

/// The tag of all rules that are about a vulnerability.
const CVE: &str = "cve";

/// The classes of the resource reports.
const CLASSES: [&str; 5] = ["compute", "network", "storage", "access-control", "other"];

/// Everything, as `host-harness report --format json` writes it.
#[derive(Debug, Serialize)]
pub struct Report {
    /// What the filter did, whatever is chosen of it.
    pub filter: Tally,
    /// The first page.
    pub overview: Overview,
    /// Operations by class of resource.
    pub operations: Vec<ClassOperations>,
    /// Each resource by itself.
    pub resources: Top<ResourceDetails>,
    /// Vulnerabilities.
    pub cves: CveRisks,
    /// Commands in containers.
    pub containers: Containers,
}

/// What a page has before anything is chosen, so that it can show the reports before it has read the records.
#[derive(Debug, Serialize)]
pub struct Start<'r> {
    /// The values to filter by.
    pub choices: Choices,
    /// The titles of the rules that hold, by id.
    pub titles: BTreeMap<&'r str, &'r str>,
    /// Of all events.
    pub report: Report,
}

/// The first page.
#[derive(Debug, Serialize)]
pub struct Overview {
    /// How many events there are.
    pub events: u64,
    /// When the first was, in milliseconds since 1970.
    pub first: Option<i64>,
    /// When the last was.
    pub last: Option<i64>,
    /// By severity, from `none` on; all of them.
    pub severities: Vec<Count>,
    /// The same over time.
    pub timeline: Timeline,
    /// Who acted.
    pub operators: Top<Operator>,
    /// From where.
    pub sources: Top<Source>,
    /// By `audit.source_scope`.
    pub scopes: Vec<Count>,
    /// By `audit.outcome`.
    pub outcomes: Vec<Count>,
    /// By response code.
    pub codes: Vec<Count>,
    /// The high-priority events.
    pub priorities: Vec<Priority>,
    /// The rules that hold most often.
    pub rules: Top<RuleCount>,
    /// The correlations that fired.
    pub alerts: Top<Alert>,
}

/// Who acted.
#[derive(Debug, Serialize)]
pub struct Operator {
    /// `audit.operator`
    pub name: String,
    /// `audit.operator_type`
    pub r#type: String,
    /// How many events.
    pub events: u64,
    /// Of these: with a severity of high or more.
    pub grave: u64,
    /// Of these: failures.
    pub failures: u64,
}

/// A client's address.
#[derive(Debug, Serialize)]
pub struct Source {
    /// `audit.source_ip`
    pub address: String,
    /// `audit.source_scope`
    pub scope: String,
    /// `audit.source_high_risk`
    pub high_risk: bool,
    /// How many events.
    pub events: u64,
    /// Of these: with a severity of high or more.
    pub grave: u64,
}

/// A kind of high-priority events.
#[derive(Debug, Serialize)]
pub struct Priority {
    /// What it is.
    pub name: &'static str,
    /// The tags of which such an event has at least one.
    pub tags: &'static [&'static str],
    /// How many events.
    pub events: u64,
    /// Of these: with a severity of high or more.
    pub grave: u64,
    /// How many operators.
    pub operators: u64,
    /// When the last was, in milliseconds since 1970.
    pub last: Option<i64>,
}

/// A rule that holds.
#[derive(Debug, Serialize)]
pub struct RuleCount {
    /// As in `audit.rules`.
    pub id: String,
    /// For people.
    pub title: String,
    /// The gravest event's, which may be of another rule too.
    pub severity: &'static str,
    /// How many events.
    pub events: u64,
}

/// A correlation that fired, once or more often, on a group.
#[derive(Debug, Serialize)]
pub struct Alert {
    /// As in `audit.alerts[].rule`.
    pub rule: String,
    /// For people.
    pub title: String,
    /// Its severity.
    pub severity: &'static str,
    /// The fields by which it groups, each with its value.
    pub group: String,
    /// On how many events it fired.
    pub events: u64,
    /// The highest count that it saw in its window.
    pub highest: u64,
    /// The length of its window, in seconds.
    pub window_seconds: u64,
    /// When it fired last, in milliseconds since 1970.
    pub last: Option<i64>,
}

/// The operations on the resources of a class.
#[derive(Debug, Serialize)]
pub struct ClassOperations {
    /// `audit.resource_class`
    pub class: &'static str,
    /// How many events.
    pub events: u64,
    /// The same over time, by action.
    pub timeline: Timeline,
    /// Each resource.
    pub resources: Top<Operations>,
}

/// The operations on a resource.
#[derive(Debug, Serialize)]
pub struct Operations {
    /// As kubectl names it.
    pub resource: String,
    /// How many events.
    pub events: u64,
    /// By `audit.action`.
    pub create: u64,
    /// By `audit.action`.
    pub update: u64,
    /// By `audit.action`.
    pub delete: u64,
    /// By `audit.action`.
    pub access: u64,
    /// How many failed.
    pub failures: u64,
}

/// A resource by itself.
#[derive(Debug, Serialize)]
pub struct ResourceDetails {
    /// As kubectl names it.
    pub resource: String,
    /// `audit.resource_class`
    pub class: String,
    /// How many events.
    pub events: u64,
    /// How many succeeded.
    pub successes: u64,
    /// How many failed.
    pub failures: u64,
    /// Successes among the events whose outcome is known, from 0 to 1.
    pub success_rate: Option<f64>,
    /// In which namespaces.
    pub namespaces: Top<Count>,
    /// By whom.
    pub operators: Top<Count>,
    /// By verb.
    pub verbs: Vec<Count>,
    /// Over time, by action.
    pub timeline: Timeline,
}

/// Vulnerabilities.
#[derive(Debug, Serialize)]
pub struct CveRisks {
    /// How many events.
    pub events: u64,
    /// The same over time, by severity.
    pub timeline: Timeline,
    /// Each rule that is about a vulnerability, the gravest first.
    pub rules: Vec<CveRisk>,
}

/// Traces of a vulnerability's exploitation.
#[derive(Debug, Serialize)]
pub struct CveRisk {
    /// As in `audit.rules`.
    pub rule: String,
    /// For people.
    pub title: String,
    /// `CVE-2021-25741`
    pub cves: Vec<String>,
    /// The gravest event's.
    pub severity: &'static str,
    /// How many events.
    pub events: u64,
    /// By whom.
    pub operators: Vec<Count>,
    /// When the first was, in milliseconds since 1970.
    pub first: Option<i64>,
    /// When the last was.
    pub last: Option<i64>,
}

/// Commands in containers.
#[derive(Debug, Serialize)]
pub struct Containers {
    /// How many events.
    pub events: u64,
    /// Of these: with a severity of high or more.
    pub grave: u64,
    /// By pod.
    pub pods: Top<Place>,
    /// By account.
    pub accounts: Top<Place>,
    /// What belongs together, the gravest first, then the latest.
    pub sessions: Top<Session>,
}

/// A pod or account, and what was run in or by it.
#[derive(Debug, Serialize)]
pub struct Place {
    /// `namespace/name` of the pod, or the account.
    pub name: String,
    /// How many events.
    pub events: u64,
    /// Of these: with a severity of high or more.
    pub grave: u64,
}

/// Commands by one user in one container, with no long pause between them.
#[derive(Debug, Serialize)]
pub struct Session {
    /// `audit.operator`
    pub user: String,
    /// The first command's `audit.source_ip`.
    pub source_ip: String,
    /// `namespace/name` of the pod.
    pub pod: String,
    /// `audit.exec.container`
    pub container: String,
    /// The gravest command's.
    pub severity: &'static str,
    /// When the first was, in milliseconds since 1970.
    pub first: Option<i64>,
    /// When the last was.
    pub last: Option<i64>,
    /// How many events.
    pub events: u64,
    /// The gravest, by time.
    pub commands: Vec<Command>,
}

/// A command.
#[derive(Debug, Serialize)]
pub struct Command {
    /// The event's number.
    pub id: u32,
    /// When, in milliseconds since 1970.
    pub time: Option<i64>,
    /// The event's.
    pub severity: &'static str,
    /// As one would type it; empty where the request names none.
    pub command: String,
    /// What was asked for: `pods/exec`, `pods/attach`.
    pub resource: String,
}

/// An event in a list.
#[derive(Debug, Serialize)]
pub struct ListedEvent<'r> {
    /// Its number among the kept events.
    pub id: u32,
    /// When, in milliseconds since 1970.
    pub time: Option<i64>,
    /// The gravest rule's.
    pub severity: &'static str,
    /// The response's; 0 where there is none.
    pub code: u16,
    /// `audit.operator`
    pub user: &'r str,
    /// `verb`
    pub verb: &'r str,
    /// `objectRef.namespace`
    pub namespace: &'r str,
    /// As kubectl names it.
    pub resource: &'r str,
    /// `objectRef.name`
    pub name: &'r str,
    /// `audit.source_ip`
    pub source_ip: &'r str,
    /// `audit.message`
    pub message: &'r str,
    /// `audit.tags`
    pub tags: Vec<&'r str>,
}

/// Some of the chosen events.
#[derive(Debug, Serialize)]
pub struct Events<'r> {
    /// How many there are.
    pub total: u64,
    /// Those that were asked for, the latest first.
    pub rows: Vec<ListedEvent<'r>>,
}

/// The values that there are of a field.
pub type Choices = BTreeMap<Field, Vec<Count>>;

impl Records {
    /// Everything that is chosen.
    #[must_use]
    pub fn report(&self, filter: &Filter) -> Report {
        let rows = filter.rows(self);
        let mut resources: Vec<_> = counts::groups(&rows, |row| row.resource).into_iter().collect();
        resources.retain(|(resource, _)| *resource != 0);
        resources.sort_by_key(|(resource, rows)| (Reverse(rows.len()), self.text(*resource)));
        let details = resources.iter().take(MOST_ROWS);
        let details = details.map(|(resource, rows)| self.resource(rows, self.text(*resource))).collect();
        Report {
            filter: self.tally.clone(),
            overview: self.overview_of(&rows),
            operations: self.operations_of(&rows),
            resources: Top { rows: details, names: resources.len() as u64 },
            cves: self.cves_of(&rows),
            containers: self.containers_of(&rows),
        }
    }

    /// What there is before anything is chosen.
    #[must_use]
    pub fn start(&self) -> Start<'_> {
        let titles = self.rules().iter().map(|rule| (&*rule.id, &*rule.title)).collect();
        Start { choices: self.choices(), titles, report: self.report(&Filter::default()) }
    }

    /// The first page.
    #[must_use]
    pub fn overview(&self, filter: &Filter) -> Overview {
        self.overview_of(&filter.rows(self))
    }

    /// Operations by class of resource.
    #[must_use]
    pub fn operations(&self, filter: &Filter) -> Vec<ClassOperations> {
        self.operations_of(&filter.rows(self))
    }

    /// A resource by itself, as kubectl names it.
    #[must_use]
    pub fn resource_details(&self, filter: &Filter, resource: &str) -> ResourceDetails {
        let id = self.id_of(resource);
        let rows: Vec<_> = filter.rows(self).into_iter().filter(|row| Some(row.resource) == id).collect();
        self.resource(&rows, resource)
    }

    /// Vulnerabilities.
    #[must_use]
    pub fn cves(&self, filter: &Filter) -> CveRisks {
        self.cves_of(&filter.rows(self))
    }

    /// Commands in containers.
    #[must_use]
    pub fn containers(&self, filter: &Filter) -> Containers {
        self.containers_of(&filter.rows(self))
    }

    /// Up to `most` of the chosen events, the latest first, from the one with that index on.
    #[must_use]
    pub fn events(&self, filter: &Filter, start: usize, most: usize) -> Events<'_> {
        let rows = filter.rows(self);
        let listed = rows.iter().rev().skip(start).take(most).map(|row| ListedEvent {
            id: row.id,
            time: row.time,
            severity: severity_name(row.severity),
            code: row.code,
            user: self.text(row.user),
            verb: self.text(row.verb),
            namespace: self.text(row.namespace),
            resource: self.text(row.resource),
            name: self.text(row.name),
            source_ip: self.text(row.source_ip),
            message: self.text(row.message),
            tags: row.tags.iter().map(|tag| self.text(*tag)).collect(),
        });
        Events { total: rows.len() as u64, rows: listed.collect() }
    }

    /// The values that there are to choose from, whatever is chosen.
    #[must_use]
    pub fn choices(&self) -> Choices {
        let rows: Vec<&Row> = self.rows().iter().collect();
        let text = |text: fn(&Row) -> TextId| counts::by_text(self, &rows, text);
        BTreeMap::from([
            (Field::Namespace, text(|row| row.namespace)),
            (Field::User, text(|row| row.user)),
            (Field::Resource, text(|row| row.resource)),
            (Field::Tag, self.tag_counts(&rows)),
            (Field::Code, code_counts(&rows)),
            (Field::Severity, severity_counts(&rows)),
        ])
    }

    fn overview_of(&self, rows: &[&Row]) -> Overview {
        let times = || rows.iter().filter_map(|row| row.time);
        let operators = counts::sums(rows, |row| (row.user, row.user_type), |(user, _)| self.text(user));
        let operators = operators.into_iter().filter(|((user, _), _)| *user != 0);
        let operators = operators.map(|((user, user_type), sum)| Operator {
            name: self.text(user).to_owned(),
            r#type: self.text(user_type).to_owned(),
            events: sum.events,
            grave: sum.grave,
            failures: sum.failures,
        });
        let source = |row: &Row| (row.source_ip, row.scope, row.is_high_risk_source);
        let sources = counts::sums(rows, source, |(address, ..)| self.text(address));
        let sources = sources.into_iter().filter(|((address, ..), _)| *address != 0);
        let sources = sources.map(|((address, scope, high_risk), sum)| Source {
            address: self.text(address).to_owned(),
            scope: self.text(scope).to_owned(),
            high_risk,
            events: sum.events,
            grave: sum.grave,
        });
        Overview {
            events: rows.len() as u64,
            first: times().next(),
            last: times().next_back(),
            severities: severity_counts(rows),
            timeline: by_severity(rows),
            operators: Top::of(operators.collect(), MOST_ROWS),
            sources: Top::of(sources.collect(), MOST_ROWS),
            scopes: counts::by_text(self, rows, |row| row.scope),
            outcomes: counts::by_text(self, rows, |row| row.outcome),
            codes: code_counts(rows),
            priorities: PRIORITIES.iter().map(|(name, tags)| self.priority(rows, name, tags)).collect(),
            rules: Top::of(self.rule_counts(rows), MOST_ROWS),
            alerts: Top::of(self.alerts(rows), MOST_ROWS),
        }
    }

    fn priority(&self, rows: &[&Row], name: &'static str, tags: &'static [&'static str]) -> Priority {
        let ids: Vec<_> = tags.iter().filter_map(|tag| self.id_of(tag)).collect();
        let has_tag = |row: &&Row| row.tags.iter().any(|tag| ids.contains(tag));
        let rows: Vec<_> = rows.iter().copied().filter(has_tag).collect();
        Priority {
            name,
            tags,
            events: rows.len() as u64,
            grave: Sum::of(&rows).grave,
            operators: counts::by_text(self, &rows, |row| row.user).len() as u64,
            last: rows.iter().rev().find_map(|row| row.time),
        }
    }

    fn rule_counts(&self, rows: &[&Row]) -> Vec<RuleCount> {
        let mut numbers = vec![(0_u64, 0_u8); self.rules().len()];
        for row in rows {
            for rule in &row.rules {
                if let Some((events, severity)) = numbers.get_mut(*rule as usize) {
                    *events += 1;
                    *severity = row.severity.max(*severity);
                }
            }
        }
        let counted = self.rules().iter().zip(numbers).filter(|(_, (events, _))| *events > 0);
        let mut counts: Vec<_> = counted
            .map(|(rule, (events, severity))| RuleCount {
                id: rule.id.clone(),
                title: rule.title.clone(),
                severity: severity_name(severity),
                events,
            })
            .collect();
        counts.sort_by(|a, b| (Reverse(a.events), &a.id).cmp(&(Reverse(b.events), &b.id)));
        counts
    }

    fn alerts(&self, rows: &[&Row]) -> Vec<Alert> {
        let mut alerts: BTreeMap<(Reverse<u8>, u32, TextId), Alert> = BTreeMap::new();
        for row in rows {
            for fired in &row.alerts {
                let key = (Reverse(fired.severity), fired.rule, fired.group);
                let alert = alerts.entry(key).or_insert_with(|| {
                    let rule = self.rules().get(fired.rule as usize).cloned().unwrap_or_default();
                    Alert {
                        rule: rule.id,
                        title: rule.title,
                        severity: severity_name(fired.severity),
                        group: self.text(fired.group).to_owned(),
                        events: 0,
                        highest: 0,
                        window_seconds: fired.window_seconds,
                        last: None,
                    }
                });
                alert.events += 1;
                alert.highest = alert.highest.max(fired.count);
                alert.last = row.time.max(alert.last);
            }
        }
        alerts.into_values().collect()
    }

    fn operations_of(&self, rows: &[&Row]) -> Vec<ClassOperations> {
        CLASSES
            .iter()
            .map(|class| {
                let id = self.id_of(class);
                let rows: Vec<_> = rows.iter().copied().filter(|row| Some(row.class) == id).collect();
                let resources = counts::sums(&rows, |row| row.resource, |resource| self.text(resource));
                let resources = resources.into_iter().map(|(resource, sum)| {
                    let [create, update, delete, access] = sum.actions;
                    let (resource, Sum { events, failures, .. }) = (self.text(resource).to_owned(), sum);
                    Operations { resource, events, create, update, delete, access, failures }
                });
                ClassOperations {
                    class,
                    events: rows.len() as u64,
                    timeline: by_action(&rows),
                    resources: Top::of(resources.collect(), MOST_ROWS),
                }
            })
            .collect()
    }

    /// `rows` are the resource's.
    fn resource(&self, rows: &[&Row], resource: &str) -> ResourceDetails {
        let successes = rows.iter().filter(|row| row.outcome == SUCCESS).count() as u64;
        let failures = Sum::of(rows).failures;
        let top = |text: fn(&Row) -> TextId| Top::of(counts::by_text(self, rows, text), MOST_ROWS);
        ResourceDetails {
            resource: resource.to_owned(),
            class: rows.first().map(|row| self.text(row.class).to_owned()).unwrap_or_default(),
            events: rows.len() as u64,
            successes,
            failures,
            success_rate: (successes + failures > 0)
                .then(|| successes as f64 / (successes + failures) as f64),
            namespaces: top(|row| row.namespace),
            operators: top(|row| row.user),
            verbs: counts::by_text(self, rows, |row| row.verb),
            timeline: by_action(rows),
        }
    }

    fn cves_of(&self, rows: &[&Row]) -> CveRisks {
        let cve = self.id_of(CVE);
        let is_risk = |row: &&Row| cve.is_some_and(|cve| row.tags.contains(&cve));
        let rows: Vec<_> = rows.iter().copied().filter(is_risk).collect();
        let mut risks: Vec<_> = self
            .rules()
            .iter()
            .enumerate()
            .filter(|(_, rule)| !rule.cves.is_empty())
            .filter_map(|(number, rule)| {
                let number = u32::try_from(number).ok()?;
                let rows: Vec<_> = rows.iter().copied().filter(|row| row.rules.contains(&number)).collect();
                let times = || rows.iter().filter_map(|row| row.time);
                let gravest = rows.iter().map(|row| row.severity).max()?;
                let risk = CveRisk {
                    rule: rule.id.clone(),
                    title: rule.title.clone(),
                    cves: rule.cves.clone(),
                    severity: severity_name(gravest),
                    events: rows.len() as u64,
                    operators: counts::by_text(self, &rows, |row| row.user),
                    first: times().next(),
                    last: times().next_back(),
                };
                Some((gravest, risk))
            })
            .collect();
        risks.sort_by(|(a, of_a), (b, of_b)| (b, of_b.events).cmp(&(a, of_a.events)));
        CveRisks {
            events: rows.len() as u64,
            timeline: by_severity(&rows),
            rules: risks.into_iter().map(|(_, risk)| risk).collect(),
        }
    }

    fn containers_of(&self, rows: &[&Row]) -> Containers {
        let rows: Vec<_> = rows.iter().copied().filter(|row| row.pod != 0).collect();
        let places = |text: fn(&Row) -> TextId| {
            let sums = counts::sums(&rows, text, |name| self.text(name)).into_iter();
            let mut places: Vec<_> = sums
                .map(|(name, Sum { events, grave, .. })| Place {
                    name: self.text(name).to_owned(),
                    events,
                    grave,
                })
                .collect();
            places.sort_by_key(|place| Reverse(place.grave));
            Top::of(places, MOST_ROWS)
        };
        let mut sessions: Vec<_> = counts::groups(&rows, |row| (row.user, row.pod, row.container))
            .into_values()
            .flat_map(|rows| sessions(&rows))
            .map(|rows| (rows.iter().map(|row| row.severity).max().unwrap_or_default(), rows))
            .collect();
        sessions
            .sort_by_key(|(gravest, rows)| Reverse((*gravest, rows.last().map(|row| (row.time, row.id)))));
        let names = sessions.len() as u64;
        let told = sessions.into_iter().take(MOST_ROWS).map(|(gravest, rows)| self.session(gravest, &rows));
        Containers {
            events: rows.len() as u64,
            grave: Sum::of(&rows).grave,
            pods: places(|row| row.pod),
            accounts: places(|row| row.user),
            sessions: Top { rows: told.collect(), names },
        }
    }

    fn session(&self, gravest: u8, rows: &[&Row]) -> Session {
        let text = |text: fn(&Row) -> TextId| {
            rows.first().map(|row| self.text(text(row)).to_owned()).unwrap_or_default()
        };
        let mut shown = rows.to_vec();
        shown.sort_by_key(|row| Reverse(row.severity));
        shown.truncate(MOST_COMMANDS);
        shown.sort_by_key(|row| (row.time, row.id));
        let commands = shown.into_iter().map(|row| Command {
            id: row.id,
            time: row.time,
            severity: severity_name(row.severity),
            command: self.text(row.command).to_owned(),
            resource: self.text(row.resource).to_owned(),
        });
        Session {
            user: text(|row| row.user),
            source_ip: text(|row| row.source_ip),
            pod: text(|row| row.pod),
            container: text(|row| row.container),
            severity: severity_name(gravest),
            first: rows.first().and_then(|row| row.time),
            last: rows.last().and_then(|row| row.time),
            events: rows.len() as u64,
            commands: commands.collect(),
        }
    }

    fn tag_counts(&self, rows: &[&Row]) -> Vec<Count> {
        let mut numbers: BTreeMap<TextId, u64> = BTreeMap::new();
        rows.iter().flat_map(|row| &row.tags).for_each(|tag| *numbers.entry(*tag).or_default() += 1);
        let mut counts: Vec<_> = numbers
            .into_iter()
            .map(|(tag, events)| Count { name: self.text(tag).to_owned(), events })
            .collect();
        counts.sort_by(|a, b| (Reverse(a.events), &a.name).cmp(&(Reverse(b.events), &b.name)));
        counts
    }
}

/// Splits one user's rows in one container where nothing happened for long.
fn sessions<'r>(rows: &[&'r Row]) -> Vec<Vec<&'r Row>> {
    let goes_on = |earlier: &&Row, later: &&Row| match (earlier.time, later.time) {
        (Some(earlier), Some(later)) => later - earlier <= SESSION_PAUSE,
        (earlier, later) => earlier == later,
    };
    rows.chunk_by(goes_on).map(<[_]>::to_vec).collect()
}

fn by_severity(rows: &[&Row]) -> Timeline {
    Timeline::new(rows, &SEVERITIES, |row| Some(row.severity.into()))
}

fn by_action(rows: &[&Row]) -> Timeline {
    Timeline::new(rows, &ACTIONS, action_index)
}

/// All severities, those that no event has too.
fn severity_counts(rows: &[&Row]) -> Vec<Count> {
    let events = |number: usize| rows.iter().filter(|row| usize::from(row.severity) == number).count() as u64;
    SEVERITIES
        .iter()
        .enumerate()
        .map(|(number, name)| Count { name: (*name).to_owned(), events: events(number) })
        .collect()
}

/// By code, in their order.
fn code_counts(rows: &[&Row]) -> Vec<Count> {
    let mut numbers: BTreeMap<u16, u64> = BTreeMap::new();
    rows.iter().for_each(|row| *numbers.entry(row.code).or_default() += 1);
    let name = |code: u16| if code == 0 { "none".to_owned() } else { code.to_string() };
    numbers.into_iter().map(|(code, events)| Count { name: name(code), events }).collect()
}

#[cfg(test)]
mod tests {
    use audit_filter_engine::explain::Subject;
    use serde_json::json;

    use super::*;
    use crate::records::Builder;

    /// Records of events that the filter says these things of, a minute apart.
    fn records(audits: &[serde_json::Value]) -> Records {
        let mut builder = Builder::new([]);
        for (minute, audit) in audits.iter().enumerate() {
            let mut subject = Subject::default();
            subject.time = format!("2026-03-02T08:{minute:02}:00Z");
            subject.namespace = "shop".to_owned();
            subject.name = "cart-0".to_owned();
            builder.push(&subject, audit);
        }
        builder.finish()
    }

    #[test]
    fn alerts_are_told_by_rule_and_group() {
        let alert = |user: &str, count: u64| {
            json!({"alerts": [{"rule": "many-403", "severity": "high", "group": {"audit.operator": user, "code": 403},
                "count": count, "window_seconds": 300}]})
        };
        let records = records(&[alert("jane", 20), alert("mallory", 20), alert("jane", 31)]);
        let told: Vec<_> = records
            .overview(&Filter::default())
            .alerts
            .rows
            .into_iter()
            .map(|alert| {
                (alert.rule, alert.group, alert.severity, alert.events, alert.highest, alert.window_seconds)
            })
            .collect();
        let of = |user: &str, events, highest| {
            ("many-403".to_owned(), format!("audit.operator {user}, code 403"), "high", events, highest, 300)
        };
        assert_eq!(told, [of("jane", 2, 31), of("mallory", 1, 20)]);
    }

    #[test]
    fn a_long_pause_ends_a_session() {
        let command = |user: &str| json!({"operator": user, "exec": {"container": "app", "command": ["id"]}});
        let none = json!({});
        let mut audits = vec![command("jane"), command("mallory")];
        audits.extend(std::iter::repeat_n(none, 14));
        audits.extend([command("jane"), command("mallory")]);
        // Jane's commands are 16 minutes apart, and so are Mallory's, but for one between.
        audits[7] = command("mallory");
        let containers = records(&audits).containers(&Filter::default());
        let sessions: Vec<_> =
            containers.sessions.rows.iter().map(|session| (&*session.user, session.events)).collect();
        assert_eq!(sessions, [("mallory", 3), ("jane", 1), ("jane", 1)]);
    }

    #[test]
    fn what_is_chosen_of_a_field_is_any_and_of_fields_all() {
        let records = records(&[
            json!({"operator": "jane", "severity": "high", "tags": ["cve", "exec"], "message": "Jane did it"}),
            json!({"operator": "jane", "severity": "low", "tags": ["exec"]}),
            json!({"operator": "mallory"}),
        ]);
        for (filter, expected) in [
            (json!({}), 3),
            (json!({"fields": {"user": ["jane"]}}), 2),
            (json!({"fields": {"user": ["jane", "mallory"]}}), 3),
            (json!({"fields": {"user": ["jane"], "severity": ["high", "none"]}}), 1),
            (json!({"fields": {"severity": ["none"]}}), 1),
            (json!({"fields": {"tag": ["cve"]}}), 1),
            (json!({"fields": {"code": ["none"]}}), 3),
            (json!({"fields": {"code": ["2xx"]}}), 0),
            (json!({"fields": {"namespace": ["nowhere"]}}), 0),
            (json!({"text": "JANE DID"}), 1),
            (json!({"from": 1_772_438_460_000_i64}), 2),
            (json!({"from": 1_772_438_400_000_i64, "to": 1_772_438_460_000_i64}), 1),
        ] {
            let chosen: Filter = serde_json::from_value(filter.clone()).unwrap();
            assert_eq!(records.overview(&chosen).events, expected, "{filter}");
            assert_eq!(records.events(&chosen, 0, 10).total, expected, "{filter}");
        }
        let listed = records.events(&Filter::default(), 1, 1);
        assert_eq!(listed.rows.iter().map(|row| row.id).collect::<Vec<_>>(), [1], "the latest first");
    }
}
