//! Correlation documents made into [`Correlations`].
//!
//! A correlation may stand before the rules that it refers to, and in another file, so references are resolved when
//! all files have been read. What is asked for and cannot be done is refused by name.

use super::super::Rule;
use super::super::rule::{Report, string, strings};
use super::window::{Kind, MAX_ENTRIES, MAX_VALUES, MIN_ENTRIES, Shape};
use super::{Comparison, Correlation, Correlations, GroupField, Lookup, MAX_RULES, Operator, Place, SHARE};
use crate::yaml::{Node, Resolved, Scalar, Value};

/// The longest timespan, a year: beyond it somebody has mistaken the unit.
const MAX_SECONDS: i64 = 366 * 86_400;

/// How many fields events may be grouped by, which are looked up for each.
const MAX_FIELDS: usize = 16;

/// A correlation whose references have not been resolved.
#[derive(Debug)]
pub(crate) struct Pending {
    head: Rule,
    kind: Kind,
    rules: Vec<(Box<str>, u32)>,
    /// Names of fields to group by.
    group_by: Vec<Box<str>>,
    aliases: Vec<Alias>,
    span: i64,
    counted: Vec<Lookup>,
    condition: Vec<Comparison>,
    share_rules: Vec<(Box<str>, u32)>,
    share: Vec<Comparison>,
    generate: bool,
    builtin: bool,
}

/// A field's name that stands for another in the events of each rule.
#[derive(Debug)]
struct Alias {
    name: Box<str>,
    /// Rule, line and field.
    fields: Vec<(Box<str>, u32, Lookup)>,
}

/// Reads a correlation, or none where it has errors. `head` is what it has in common with rules.
pub(crate) fn read(document: &Node, head: Option<Rule>, report: &mut Report<'_>) -> Option<Pending> {
    let correlation = document.get("correlation")?;
    let Value::Mapping(members) = &correlation.value else {
        let message = format!("expected a mapping, found {}", correlation.describe());
        report.error(correlation.line, "correlation", message);
        return None;
    };
    const KNOWN: [&str; 8] =
        ["type", "rules", "group-by", "timespan", "condition", "aliases", "generate", "x-share"];
    for (key, _) in members {
        let name = key.scalar().map_or("", |key| key.text.as_str());
        if !KNOWN.contains(&name) {
            let message = format!("unknown, and so it cannot be honoured; known here: {}", KNOWN.join(", "));
            report.error(key.line, format!("correlation.{name}"), message);
        }
    }
    let generate = boolean(document, "generate", report) || boolean(correlation, "generate", report);
    let kind = read_kind(correlation, report);
    let rules = read_rules(correlation, "correlation.rules", report);
    let group_by = names(correlation, "group-by", report);
    let aliases = read_aliases(correlation, report);
    for name in &group_by {
        if !aliases.iter().any(|alias| *alias.name == **name)
            && let Err(message) = Lookup::of_name(name)
        {
            report.error(correlation.line, "correlation.group-by", message);
        }
    }
    if group_by.len() > MAX_FIELDS {
        let message = format!("more than {MAX_FIELDS} fields");
        report.error(correlation.line, "correlation.group-by", message);
    }
    check_aliases(&aliases, &rules, correlation.line, report);
    let span = read_timespan(correlation, report);
    let condition = read_condition(correlation, kind, rules.len(), report);
    let (share_rules, share) = read_share(correlation, kind, report);
    let (kind, counted, condition) = condition?;
    let (head, span) = (head?, span?);
    if report.failed {
        return None;
    }
    Some(Pending {
        head,
        kind,
        rules,
        group_by: group_by.into_iter().map(Into::into).collect(),
        aliases,
        span,
        counted,
        condition,
        share_rules,
        share,
        generate,
        builtin: false,
    })
}

fn boolean(node: &Node, field: &str, report: &mut Report<'_>) -> bool {
    match node.get(field).map(|node| (node, node.scalar().map(Scalar::resolve))) {
        None => false,
        Some((_, Some(Resolved::Bool(value)))) => value,
        Some((node, _)) => {
            report.error(node.line, field, format!("expected true or false, found {}", node.describe()));
            false
        }
    }
}

fn names<'n>(correlation: &'n Node, field: &str, report: &mut Report<'_>) -> Vec<&'n str> {
    let mut names: Vec<&str> = Vec::new();
    for (name, line) in strings(correlation, field, report) {
        if names.contains(&name) {
            report.error(line, format!("correlation.{field}"), format!("{name} is named twice"));
        }
        names.push(name);
    }
    names
}

fn read_kind(correlation: &Node, report: &mut Report<'_>) -> Option<Kind> {
    let kind = string(correlation, "type", report);
    let known = [
        ("event_count", Kind::EventCount),
        ("value_count", Kind::ValueCount),
        ("temporal", Kind::Temporal),
        ("temporal_ordered", Kind::TemporalOrdered),
        ("value_sum", Kind::Sum),
        ("value_avg", Kind::Average),
        ("value_percentile", Kind::Percentile(0.0)),
        ("value_median", Kind::Median),
    ];
    let found = known.iter().find(|(name, _)| Some(*name) == kind).map(|&(_, kind)| kind);
    if found.is_none() && !report.failed {
        let names = known.map(|(name, _)| name).join(", ");
        let line = correlation.get("type").map_or(correlation.line, |node| node.line);
        report.error(line, "correlation.type", format!("expected one of {names}"));
    }
    found
}

/// Names or ids of rules, each with its line.
fn read_rules(within: &Node, field: &str, report: &mut Report<'_>) -> Vec<(Box<str>, u32)> {
    let rules: Vec<(Box<str>, u32)> =
        strings(within, "rules", report).into_iter().map(|(name, line)| (name.into(), line)).collect();
    if rules.is_empty() {
        let message = "missing; list the rules that are to be correlated, by their names or ids";
        report.error(within.line, field, message);
    }
    if rules.len() > MAX_RULES {
        report.error(within.line, field, format!("more than {MAX_RULES} rules; correlate fewer at a time"));
    }
    rules
}

fn read_timespan(correlation: &Node, report: &mut Report<'_>) -> Option<i64> {
    let Some(node) = correlation.get("timespan") else {
        report.error(correlation.line, "correlation.timespan", "missing; write a number and s, m, h or d");
        return None;
    };
    let text = node.scalar().map_or("", |scalar| scalar.text.as_str());
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).unwrap_or_default();
    let unit = match unit {
        "s" => Some(1),
        "m" => Some(60),
        "h" => Some(3600),
        "d" => Some(86_400),
        "w" => Some(7 * 86_400),
        _ => None,
    };
    let is_number = !number.is_empty() && number.bytes().all(|digit| digit.is_ascii_digit());
    let seconds = unit
        .filter(|_| is_number)
        .and_then(|unit| number.parse::<i64>().ok()?.checked_mul(unit))
        .filter(|seconds| (1..=MAX_SECONDS).contains(seconds));
    if seconds.is_none() {
        let message = format!(
            "expected a number and s, m, h, d or w, a year at most, found {}; months have no fixed length",
            node.describe()
        );
        report.error(node.line, "correlation.timespan", message);
    }
    Some(seconds? * 1_000_000)
}

/// What is found out, of which fields, and what it has to be.
fn read_condition(
    correlation: &Node,
    kind: Option<Kind>,
    rules: usize,
    report: &mut Report<'_>,
) -> Option<(Kind, Vec<Lookup>, Vec<Comparison>)> {
    let field = "correlation.condition";
    let mut kind = kind?;
    let is_temporal = matches!(kind, Kind::Temporal | Kind::TemporalOrdered);
    let Some(condition) = correlation.get("condition") else {
        if is_temporal {
            let all = Comparison { operator: Operator::Gte, with: rules as f64 };
            return Some((kind, Vec::new(), vec![all]));
        }
        report.error(correlation.line, field, "missing; write for instance condition: {gte: 10}");
        return None;
    };
    if !matches!(condition.value, Value::Mapping(_)) {
        let message = format!(
            "expected a mapping of comparisons, such as {{gte: 10}}, found {}; other forms are not supported",
            condition.describe()
        );
        report.error(condition.line, field, message);
        return None;
    }
    let is_numeric = matches!(kind, Kind::Sum | Kind::Average | Kind::Percentile(_) | Kind::Median);
    let has_field = is_numeric || kind == Kind::ValueCount;
    let mut others = Vec::new();
    if has_field {
        others.push("field");
    }
    if matches!(kind, Kind::Percentile(_)) {
        others.push("percentile");
    }
    let comparisons = read_comparisons(condition, field, &others, report);
    let fields: Vec<Lookup> = names(condition, "field", report)
        .into_iter()
        .filter_map(|name| {
            Lookup::of_name(name)
                .map_err(|message| report.error(condition.line, "correlation.condition.field", message))
                .ok()
        })
        .collect();
    match fields.len() {
        0 if has_field && condition.get("field").is_none() => {
            report.error(condition.line, "correlation.condition.field", "missing; name the field to look at");
        }
        2.. if is_numeric => {
            report.error(condition.line, "correlation.condition.field", "several fields have no one number");
        }
        _ => {}
    }
    if matches!(kind, Kind::Percentile(_)) {
        kind = Kind::Percentile(read_percentile(condition, report));
    }
    let all = |count: usize| comparisons.iter().all(|comparison| comparison.holds(count as f64));
    if kind == Kind::TemporalOrdered && (!all(rules) || all(rules.saturating_sub(1))) {
        let message =
            "an order of some of the rules is not supported; leave the condition out for all of them";
        report.error(condition.line, field, message);
    }
    if !is_numeric {
        check_count(kind, &comparisons, condition.line, report);
    }
    Some((kind, fields, comparisons))
}

fn read_percentile(condition: &Node, report: &mut Report<'_>) -> f64 {
    let field = "correlation.condition.percentile";
    let node = condition.get("percentile");
    let percent = node.and_then(number).filter(|percent| *percent > 0.0 && *percent <= 100.0);
    if percent.is_none() {
        let line = node.map_or(condition.line, |node| node.line);
        report.error(line, field, "write which one, a number above 0 up to 100");
    }
    percent.unwrap_or_default()
}

/// Whether what a condition says of a count can be found out, and is meant.
fn check_count(kind: Kind, comparisons: &[Comparison], line: u32, report: &mut Report<'_>) {
    let field = "correlation.condition";
    if kind == Kind::ValueCount && highest(comparisons) >= MAX_VALUES as f64 {
        let message = format!(
            "so many different values for each group would take too much memory; ask for fewer than {MAX_VALUES}"
        );
        report.error(line, field, message);
    }
    let has_no_lower_bound =
        |comparison: &Comparison| matches!(comparison.operator, Operator::Lt | Operator::Lte | Operator::Neq);
    if !comparisons.is_empty() && comparisons.iter().all(has_no_lower_bound) {
        let message = "may hold at the first event already, since what is still to come is not known; \
                       add a lower bound, gte";
        report.warning(line, field, message);
    }
}

fn highest(comparisons: &[Comparison]) -> f64 {
    comparisons.iter().map(|comparison| comparison.with).fold(0.0, f64::max)
}

/// The comparisons of a mapping that may have other members besides.
fn read_comparisons(node: &Node, field: &str, others: &[&str], report: &mut Report<'_>) -> Vec<Comparison> {
    let mut comparisons: Vec<Comparison> = Vec::new();
    let Value::Mapping(members) = &node.value else { return comparisons };
    for (key, value) in members {
        let name = key.scalar().map_or("", |key| key.text.as_str());
        if others.contains(&name) {
            continue;
        }
        let Some(&(_, operator)) = Operator::NAMES.iter().find(|(known, _)| *known == name) else {
            let known = Operator::NAMES.map(|(name, _)| name).join(", ");
            let others: String = others.iter().map(|other| format!(", {other}")).collect();
            let message = format!("unknown, and so it cannot be honoured; known here: {known}{others}");
            report.error(key.line, format!("{field}.{name}"), message);
            continue;
        };
        if comparisons.iter().any(|comparison| comparison.operator == operator) {
            report.error(key.line, format!("{field}.{name}"), "given twice; keep one of them");
        }
        match number(value) {
            Some(with) => comparisons.push(Comparison { operator, with }),
            None => {
                let message = format!("expected a number, found {}", value.describe());
                report.error(value.line, format!("{field}.{name}"), message);
            }
        }
    }
    if comparisons.is_empty() && !report.failed {
        report.error(node.line, field, "compares with nothing; write for instance gte: 10");
    }
    comparisons
}

fn number(node: &Node) -> Option<f64> {
    match node.scalar()?.resolve() {
        Resolved::Int(number) => Some(number as f64),
        Resolved::Float(number) if number.is_finite() => Some(number),
        _ => None,
    }
}

fn read_aliases(correlation: &Node, report: &mut Report<'_>) -> Vec<Alias> {
    let Some(node) = correlation.get("aliases") else { return Vec::new() };
    let mapping = |node: &Node, report: &mut Report<'_>| {
        if !matches!(node.value, Value::Mapping(_)) {
            let message = format!("expected a mapping, found {}", node.describe());
            report.error(node.line, "correlation.aliases", message);
        }
    };
    mapping(node, report);
    let Value::Mapping(members) = &node.value else { return Vec::new() };
    let mut aliases = Vec::new();
    for (key, rules) in members {
        mapping(rules, report);
        let Value::Mapping(of_rules) = &rules.value else { continue };
        let name = key.scalar().map_or("", |key| key.text.as_str());
        let mut fields = Vec::new();
        for (rule, field) in of_rules {
            match Lookup::of_name(field.str().unwrap_or_default()) {
                Ok(lookup) => {
                    fields.push((rule.scalar().map_or("", |rule| &rule.text).into(), rule.line, lookup));
                }
                Err(message) => report.error(field.line, format!("correlation.aliases.{name}"), message),
            }
        }
        aliases.push(Alias { name: name.into(), fields });
    }
    aliases
}

/// Whether each alias stands for a field in the events of each rule.
fn check_aliases(aliases: &[Alias], rules: &[(Box<str>, u32)], line: u32, report: &mut Report<'_>) {
    for alias in aliases {
        let field = || format!("correlation.aliases.{}", alias.name);
        for (rule, line, _) in &alias.fields {
            if !rules.iter().any(|(name, _)| name == rule) {
                let message = format!("{rule} is not among the correlation's rules; write it as it is there");
                report.error(*line, field(), message);
            }
        }
        for (rule, _) in rules {
            if !alias.fields.iter().any(|(of, ..)| of == rule) {
                report.error(line, field(), format!("says nothing of {rule}; name a field of its events"));
            }
        }
    }
}

/// `x-share`: rules, and what part of the counted events they must hold on.
fn read_share(
    correlation: &Node,
    kind: Option<Kind>,
    report: &mut Report<'_>,
) -> (Vec<(Box<str>, u32)>, Vec<Comparison>) {
    let field = "correlation.x-share";
    let Some(node) = correlation.get("x-share") else { return Default::default() };
    if !matches!(node.value, Value::Mapping(_)) {
        let message = format!("expected a mapping of rules and comparisons, found {}", node.describe());
        report.error(node.line, field, message);
        return Default::default();
    }
    if kind.is_some_and(|kind| kind != Kind::EventCount) {
        report.error(node.line, field, "there is a share of counted events only; write type: event_count");
    }
    let rules = read_rules(node, "correlation.x-share.rules", report);
    (rules, read_comparisons(node, field, &["rules"], report))
}

/// What references may lead to.
pub(crate) struct Correlating<'r> {
    pub(crate) rules: &'r [Rule],
    /// How many of them are built in; they come first.
    pub(crate) builtin: usize,
    /// The ids that are disabled.
    pub(crate) disabled: &'r [String],
    /// The file whose rules alone speak, if not all do.
    pub(crate) only: Option<&'r str>,
    pub(crate) limit: usize,
    pub(crate) problems: &'r mut crate::problem::Problems,
}

/// A rule or a correlation that is referred to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    Rule(usize),
    Correlation(usize),
}

impl Pending {
    /// Says that it is built in.
    pub(crate) fn set_builtin(&mut self) {
        self.builtin = true;
    }

    /// What it has in common with rules.
    pub(crate) fn head(&self) -> &Rule {
        &self.head
    }

    /// The names and ids that it refers to.
    pub(crate) fn references(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().chain(&self.share_rules).map(|(name, _)| &**name)
    }
}

impl Correlating<'_> {
    /// The correlations, with their references resolved. Those with an error are left out.
    pub(crate) fn resolve(mut self, pending: Vec<Pending>) -> Correlations {
        let targets: Vec<Option<Vec<Target>>> =
            pending.iter().map(|of| self.targets(of, &of.rules, &pending)).collect();
        let shares: Vec<Option<Vec<Target>>> =
            pending.iter().map(|of| self.targets(of, &of.share_rules, &pending)).collect();
        let order = self.order(&pending, &targets, &shares);
        // What is not to speak stays only where something else needs it.
        let is_mute = |rule: &Rule| {
            self.disabled.iter().any(|id| **id == *rule.id)
                || self.only.is_some_and(|only| *rule.file != *only)
        };
        let is_disabled = |number: usize| pending.get(number).is_some_and(|of| is_mute(&of.head));
        let refers = |number: usize, to: Target| {
            [&targets, &shares].into_iter().any(|lists| {
                lists.get(number).and_then(Option::as_ref).is_some_and(|list| list.contains(&to))
            })
        };
        let mut needed: Vec<usize> = Vec::new();
        for &number in order.iter().rev() {
            if !is_disabled(number) || needed.iter().any(|&by| refers(by, Target::Correlation(number))) {
                needed.push(number);
            }
        }
        needed.reverse();
        let silenced = |to: Target, builtin: bool| {
            let by = || needed.iter().filter(|&&by| refers(by, to)).filter_map(|&by| pending.get(by));
            by().any(|by| by.builtin || !builtin) && !by().any(|by| by.generate)
        };
        let silent: Vec<bool> = self
            .rules
            .iter()
            .enumerate()
            .map(|(number, rule)| is_mute(rule) || silenced(Target::Rule(number), number < self.builtin))
            .collect();
        let silent_correlations: Vec<bool> = needed
            .iter()
            .map(|&number| {
                let builtin = pending.get(number).is_some_and(|of| of.builtin);
                is_disabled(number) || silenced(Target::Correlation(number), builtin)
            })
            .collect();
        let mut correlations = Correlations { silent, limit: self.limit, ..Correlations::default() };
        correlations.places.resize_with(self.rules.len() + needed.len(), Vec::new);
        let mut pending: Vec<Option<Pending>> = pending.into_iter().map(Some).collect();
        for (correlation, &number) in needed.iter().enumerate() {
            let place = |to: &Target| match *to {
                Target::Rule(rule) => Some(rule),
                Target::Correlation(other) => {
                    needed.iter().position(|&number| number == other).map(|at| self.rules.len() + at)
                }
            };
            let of = |lists: &[Option<Vec<Target>>]| lists.get(number).cloned().flatten().unwrap_or_default();
            let counted = of(&targets);
            for (at, to) in counted.iter().enumerate() {
                correlations.add_place(place(to), correlation, 1 << at);
            }
            for to in &of(&shares) {
                correlations.add_place(place(to), correlation, SHARE);
            }
            let Some(of) = pending.get_mut(number).and_then(Option::take) else { continue };
            let silent = silent_correlations.get(correlation).copied().unwrap_or_default();
            let (head, compiled) = of.compile(silent);
            correlations.heads.push(head);
            correlations.list.push(compiled);
        }
        correlations
    }

    /// What the names lead to, or none where one leads nowhere.
    fn targets(
        &mut self,
        of: &Pending,
        names: &[(Box<str>, u32)],
        pending: &[Pending],
    ) -> Option<Vec<Target>> {
        let mut targets = Vec::new();
        let mut sound = true;
        for (name, line) in names {
            let rules = (0..).zip(self.rules).filter(|(_, rule)| rule.is_called(name));
            let correlations = (0..).zip(pending).filter(|(_, other)| other.head.is_called(name));
            let mut found: Vec<Target> = rules.map(|(number, _)| Target::Rule(number)).collect();
            found.extend(correlations.map(|(number, _)| Target::Correlation(number)));
            let message = match found.as_slice() {
                [only] if targets.contains(only) => format!("{name} is named twice"),
                [only] => {
                    targets.push(*only);
                    continue;
                }
                [] => format!("no rule that could be read has the name or id {name}"),
                _ => format!("several rules are called {name}; refer to the one that is meant by its id"),
            };
            self.problems.error(&of.head.file, *line, "correlation.rules", message);
            sound = false;
        }
        sound.then_some(targets)
    }

    /// The numbers of the correlations that could be resolved, each after those that it refers to.
    fn order(
        &mut self,
        pending: &[Pending],
        targets: &[Option<Vec<Target>>],
        shares: &[Option<Vec<Target>>],
    ) -> Vec<usize> {
        let mut order = Vec::new();
        let mut left: Vec<usize> = (0..pending.len()).collect();
        loop {
            let before = left.len();
            left.retain(|&number| {
                let lists = [targets.get(number), shares.get(number)];
                let ready = lists.iter().flatten().all(|list| {
                    list.as_ref().is_some_and(|list| {
                        list.iter().all(|to| match to {
                            Target::Rule(_) => true,
                            Target::Correlation(other) => order.contains(other),
                        })
                    })
                });
                if ready {
                    order.push(number);
                }
                !ready
            });
            if left.len() == before {
                break;
            }
        }
        // What could not be resolved has been said already; what refers to it is no riddle.
        let is_said = targets.iter().chain(shares).any(Option::is_none);
        for of in left.into_iter().filter_map(|number| pending.get(number)).filter(|_| !is_said) {
            let message = "refers to itself, if only by way of others; leave one reference out";
            self.problems.error(&of.head.file, of.head.line, "correlation.rules", message);
        }
        order
    }
}

impl Correlations {
    fn add_place(&mut self, of: Option<usize>, correlation: usize, rules: u32) {
        if let Some(places) = of.and_then(|of| self.places.get_mut(of)) {
            places.push(Place { correlation: u32::try_from(correlation).unwrap_or(u32::MAX), rules });
        }
    }
}

impl Pending {
    fn compile(self, silent: bool) -> (Rule, Correlation) {
        let Self { head, kind, rules, group_by, aliases, span, counted, condition, share, .. } = self;
        let wanted = highest(&condition).clamp(0.0, MAX_VALUES as f64) as usize + 1;
        let capacity = match kind {
            Kind::EventCount => (2 * wanted).clamp(MIN_ENTRIES, MAX_ENTRIES),
            Kind::ValueCount => wanted.clamp(MIN_ENTRIES, MAX_VALUES),
            _ => MIN_ENTRIES,
        };
        let group_by = group_by
            .into_iter()
            .map(|name| {
                let lookups = match aliases.iter().find(|alias| alias.name == name) {
                    Some(alias) => rules
                        .iter()
                        .filter_map(|(rule, _)| alias.fields.iter().find(|(of, ..)| of == rule))
                        .map(|(.., lookup)| lookup.clone())
                        .collect(),
                    None => Lookup::of_name(&name).into_iter().collect(),
                };
                GroupField { name, lookups }
            })
            .collect();
        let shape = Shape { kind, span, rules: u32::try_from(rules.len()).unwrap_or(u32::MAX), capacity };
        (head, Correlation { shape, group_by, counted, condition, share, silent })
    }
}
