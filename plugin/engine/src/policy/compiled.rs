//! A policy as tables, so that a thousand rules cost an event hardly more than ten.
//!
//! For each thing a rule can ask for (verb, user, group, namespace, resource, path) there is a table from
//! value to the set of rules that accept it: a row of bits, rule 0 in the lowest. An event looks up its rows
//! and ANDs them, a word of 64 rules at a time; the lowest bit that is left is the first rule that matches.
//! The rows are exact, so nothing needs to be confirmed.
//!
//! Keys come from the policy, which is its author's, and only lookups from events, which may be an
//! attacker's: a fixed hash function is enough, where std's needs random keys that a bare module has not.

use super::matching::url_prefix;
use super::model::{Entry, GroupResources, Rule};
use super::request::{self, is_named_by_body, is_there, namespace, path, verb};
use crate::json::Text;
use crate::record::{ByRequest, Event, ObjectRef, User};
use crate::sorted::SortedMap;
use std::iter;

/// The tables cannot tell; ask rule by rule, which is slower but never wrong.
///
/// It takes a user who is in more than 16 of the groups that the policy names, which only an administrator
/// can bring about, or a resource with a slash, which the API server never writes.
#[derive(Debug)]
pub(super) struct Undecided;

/// Where a row begins among the words of all rows.
type Row = u32;

#[derive(Debug)]
pub(super) struct Index {
    rows: Rows,
    verbs: Values,
    users: Values,
    groups: Values,
    namespaces: Values,
    resources: Resources,
    paths: Paths,
}

impl Index {
    pub(super) fn new(rules: &[Rule]) -> Self {
        let mut rows = RowsBuilder::new(rules.len());
        let verbs = Values::new(rules, |rule| &rule.verbs, &mut rows);
        let users = Values::new(rules, |rule| &rule.users, &mut rows);
        let groups = Values::new(rules, |rule| &rule.user_groups, &mut rows);
        let namespaces = Values::new(rules, |rule| &rule.namespaces, &mut rows);
        let resources = Resources::new(rules, &mut rows);
        let paths = Paths::new(rules, &mut rows);
        Self { rows: rows.rows, verbs, users, groups, namespaces, resources, paths }
    }

    /// The index of the first rule that matches. Requests that are alike are looked up but once.
    pub(super) fn first_match(
        &self,
        event: &Event<'_>,
        memory: &mut Memory,
    ) -> Result<Option<usize>, Undecided> {
        let Some(reference) = &event.object_ref else { return self.look_up(event, None) };
        let mut object = (reference.namespace, reference.name);
        // Most names are not among those that the policy has, and these are all the same to it.
        let name = self.resources.name(reference.name).map_or(0, |number| number + 1);
        let known = event.request.and_then(|request| memory.get(request)).filter(|known| known.name == name);
        if let Some(Remembered { as_path_says: false, rule, .. }) = known {
            return Ok(*rule);
        }
        let as_path_says = self.asks_path(event, reference);
        if as_path_says {
            let path = path(event);
            object = (namespace(reference, &path), request::name(event, reference, &path));
            if object != (reference.namespace, reference.name) {
                return self.look_up(event, Some(object));
            }
        }
        if let Some(Remembered { rule, .. }) = known {
            return Ok(*rule);
        }
        let rule = self.look_up(event, Some(object))?;
        if let Some(request) = event.request {
            memory.put(request, Remembered { name, as_path_says, rule });
        }
        Ok(rule)
    }

    #[inline(never)]
    fn look_up(
        &self,
        event: &Event<'_>,
        object: Option<(Text<'_>, Text<'_>)>,
    ) -> Result<Option<usize>, Undecided> {
        let verb = self.verbs.row(verb(event));
        let mut groups = Union::new(self.groups.any);
        let user = if is_there(&event.user) {
            self.add_groups(&event.user, &mut groups)?;
            self.users.row(event.user.username)
        } else {
            self.users.any
        };
        match event.object_ref.as_ref().zip(object) {
            Some((reference, (namespace, name))) => {
                let mut resources = Union::new(self.resources.any);
                self.resources.add(reference, name, &mut resources)?;
                Ok(self
                    .rows
                    .first_common([verb, user, self.namespaces.row(namespace)], [&groups, &resources]))
            }
            None if self.paths.is_empty() => {
                Ok(self.rows.first_common([verb, user, self.paths.any], [&groups, &groups]))
            }
            None => {
                let path = self.paths.row(&path(event));
                Ok(self.rows.first_common([verb, user, path], [&groups, &groups]))
            }
        }
    }

    fn add_groups(&self, user: &User<'_>, rows: &mut Union) -> Result<(), Undecided> {
        if self.groups.table.is_empty() {
            return Ok(());
        }
        for group in user.groups() {
            if let Some(row) = self.groups.table.get(&group.decode()) {
                rows.add(row)?;
            }
        }
        Ok(())
    }

    /// Whether the path has to be decoded. Whether the body has completed namespace and name matters only where the
    /// tables tell what the event says from nothing.
    fn asks_path(&self, event: &Event<'_>, reference: &ObjectRef<'_>) -> bool {
        tells_from_nothing(&self.namespaces.table, reference.namespace)
            || (tells_from_nothing(&self.resources.names, reference.name)
                && is_named_by_body(event, reference))
    }
}

/// The rules that matched requests seen before. It belongs to one policy and one engine's events.
pub(crate) type Memory = ByRequest<Remembered>;

/// The rule that matches requests of one kind with that name.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Remembered {
    name: u32,
    /// Whether that is so only if the request's path has the namespace and the name as well.
    as_path_says: bool,
    rule: Option<usize>,
}

/// Whether a table has the value or the empty one, so that which of the two it is makes a difference.
fn tells_from_nothing(table: &Table, value: Text<'_>) -> bool {
    !table.is_empty()
        && !value.is_empty()
        && (table.get(&value.decode()).is_some() || table.get(b"").is_some())
}

/// Rows that are one: what any of them has.
struct Union {
    rows: [Row; Self::CAPACITY],
    len: usize,
}

impl Union {
    /// A resource has at most 16 rows: four forms, twice for the group and for `*`, twice for the name and
    /// for no name. One more is the row of the rules that do not ask.
    const CAPACITY: usize = 17;

    fn new(row: Row) -> Self {
        Self { rows: [row; Self::CAPACITY], len: 1 }
    }

    fn add(&mut self, row: Row) -> Result<(), Undecided> {
        if self.as_slice().contains(&row) {
            return Ok(());
        }
        *self.rows.get_mut(self.len).ok_or(Undecided)? = row;
        self.len += 1;
        Ok(())
    }

    fn as_slice(&self) -> &[Row] {
        self.rows.get(..self.len).unwrap_or_default()
    }
}

/// All rows, one after the other.
#[derive(Debug)]
struct Rows {
    /// Words in a row.
    width: usize,
    words: Vec<u64>,
}

impl Rows {
    fn word(&self, row: Row, word: usize) -> u64 {
        self.words.get(row as usize + word).copied().unwrap_or_default()
    }

    /// The lowest rule that is in all of `each` and in some row of each of `some`.
    fn first_common(&self, each: [Row; 3], some: [&Union; 2]) -> Option<usize> {
        for word in 0..self.width {
            let mut rules = each.iter().fold(u64::MAX, |all, &row| all & self.word(row, word));
            if rules == 0 {
                continue;
            }
            for rows in some {
                rules &= rows.as_slice().iter().fold(0, |any, &row| any | self.word(row, word));
            }
            if rules != 0 {
                return Some(word * 64 + rules.trailing_zeros() as usize);
            }
        }
        None
    }
}

/// Makes rows, each distinct one once: most values of a list of users or resources share theirs.
struct RowsBuilder {
    rows: Rows,
    known: SortedMap<Bits, Row>,
}

impl RowsBuilder {
    fn new(rules: usize) -> Self {
        Self { rows: Rows { width: rules.div_ceil(64), words: Vec::new() }, known: SortedMap::new() }
    }

    /// The row of these rules.
    fn row(&mut self, rules: Bits) -> Row {
        if let Some(&known) = self.known.get(&rules) {
            return known;
        }
        let next = Row::try_from(self.rows.words.len()).unwrap_or(Row::MAX);
        self.rows.words.extend(rules.0.iter().copied().chain(iter::repeat(0)).take(self.rows.width));
        self.known.update(rules, |row| *row = next);
        next
    }
}

/// A set of rules: the beginning of a row, without the zeros after the last rule.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Bits(Vec<u64>);

impl Bits {
    fn insert(&mut self, rule: usize) {
        let word = rule / 64;
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        if let Some(word) = self.0.get_mut(word) {
            *word |= 1 << (rule % 64);
        }
    }

    /// What is in either set.
    fn with(mut self, other: &Self) -> Self {
        if self.0.len() < other.0.len() {
            self.0.resize(other.0.len(), 0);
        }
        for (word, other) in self.0.iter_mut().zip(&other.0) {
            *word |= other;
        }
        self
    }
}

/// What rules accept by plain equality.
#[derive(Debug)]
struct Values {
    /// The rules that accept any value, and so those for a value that no rule names.
    any: Row,
    table: Table,
}

impl Values {
    fn new(rules: &[Rule], list: impl Fn(&Rule) -> &[Entry], rows: &mut RowsBuilder) -> Self {
        let mut any = Bits::default();
        let mut named: SortedMap<&[u8], Bits> = SortedMap::new();
        for (index, rule) in rules.iter().enumerate() {
            let entries = list(rule);
            if entries.is_empty() {
                any.insert(index);
            }
            for entry in entries {
                named.update(entry.text.as_bytes(), |rules| rules.insert(index));
            }
        }
        let table = named.into_iter().map(|(value, rules)| (value.into(), rows.row(rules.with(&any))));
        let table = Table::new(table.collect());
        Self { any: rows.row(any.clone()), table }
    }

    fn row(&self, value: Text<'_>) -> Row {
        if self.table.is_empty() {
            return self.any;
        }
        self.table.get(&value.decode()).unwrap_or(self.any)
    }
}

/// What rules accept of group, resource, subresource and name together.
///
/// Strings become small numbers first, so that the combinations are looked up by fixed-size keys.
#[derive(Debug)]
struct Resources {
    /// The rules that no resource rules out.
    any: Row,
    groups: Table,
    /// Resources and subresources.
    resources: Table,
    names: Table,
    rules: Table,
}

/// In a key: any group, any resource, any subresource or none, any name.
const ANY: u32 = u32::MAX;
/// In a key: no subresource.
const BARE: u32 = u32::MAX - 1;

type Key = [u32; 4];

fn key_bytes(key: Key) -> [u8; 16] {
    let mut bytes = [0; 16];
    for (bytes, number) in bytes.chunks_exact_mut(4).zip(key) {
        bytes.copy_from_slice(&number.to_le_bytes());
    }
    bytes
}

impl Resources {
    fn new(rules: &[Rule], rows: &mut RowsBuilder) -> Self {
        let mut any = Bits::default();
        let (mut groups, mut resources, mut names) = (Numbers::new(), Numbers::new(), Numbers::new());
        let mut keys: SortedMap<Key, Bits> = SortedMap::new();
        for (index, rule) in rules.iter().enumerate() {
            if rule.resources.is_empty() && rule.non_resource_urls.is_empty() {
                any.insert(index);
            }
            for entry in &rule.resources {
                let group = match entry.group.text.as_str() {
                    "*" => ANY,
                    group => groups.of(group),
                };
                let names: Vec<u32> =
                    names_of(entry).map(|name| name.map_or(ANY, |name| names.of(name))).collect();
                for (resource, subresource) in patterns(entry, &mut resources) {
                    for &name in &names {
                        keys.update([group, resource, subresource, name], |rules| rules.insert(index));
                    }
                }
            }
        }
        let any_row = rows.row(any.clone());
        let keys = keys.into_iter().map(|(key, rules)| (key_bytes(key).into(), rows.row(rules.with(&any))));
        let keys = Table::new(keys.collect());
        Self {
            any: any_row,
            groups: groups.into_table(),
            resources: resources.into_table(),
            names: names.into_table(),
            rules: keys,
        }
    }

    fn add(&self, reference: &ObjectRef<'_>, name: Text<'_>, rows: &mut Union) -> Result<(), Undecided> {
        if self.rules.is_empty() {
            return Ok(());
        }
        let resource = reference.resource.decode();
        // A path segment has no slash, so no request has such a resource; an event that claims one would
        // blur where the subresource begins.
        if resource.contains(&b'/') {
            return Err(Undecided);
        }
        let resource = self.resources.get(&resource);
        let has_subresource = !reference.subresource.is_empty();
        let subresource =
            if has_subresource { self.resources.get(&reference.subresource.decode()) } else { Some(BARE) };
        let forms = [
            Some((ANY, ANY)),
            resource.zip(subresource),
            resource.map(|resource| (resource, ANY)),
            subresource.filter(|_| has_subresource).map(|subresource| (ANY, subresource)),
        ];
        let group = self.groups.get(&reference.api_group.decode());
        let name = self.name(name);
        for group in [Some(ANY), group].into_iter().flatten() {
            for (resource, subresource) in forms.into_iter().flatten() {
                for name in [Some(ANY), name].into_iter().flatten() {
                    if let Some(row) = self.rules.get(&key_bytes([group, resource, subresource, name])) {
                        rows.add(row)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// The number of a name that some rule asks for.
    fn name(&self, name: Text<'_>) -> Option<u32> {
        if self.names.is_empty() { None } else { self.names.get(&name.decode()) }
    }
}

/// The names that an entry asks for; one none where it asks for no name.
fn names_of(entry: &GroupResources) -> impl Iterator<Item = Option<&str>> {
    let any = entry.resource_names.is_empty() || entry.resources.is_empty();
    let named = entry.resource_names.iter().filter(move |_| !any).map(|name| Some(name.text.as_str()));
    any.then_some(None).into_iter().chain(named)
}

/// The keys under which events find an entry's resources. A pattern such as `*/*` is more than one thing:
/// a resource called `*` with any subresource, and a subresource called `*` of any resource.
fn patterns<'p>(entry: &'p GroupResources, numbers: &mut Numbers<'p>) -> Vec<(u32, u32)> {
    if entry.resources.is_empty() {
        return vec![(ANY, ANY)];
    }
    let mut keys = Vec::new();
    for pattern in entry.resources.iter().map(|pattern| pattern.text.as_str()) {
        if pattern == "*" {
            keys.push((ANY, ANY));
            continue;
        }
        match pattern.split_once('/') {
            None => keys.push((numbers.of(pattern), BARE)),
            Some((resource, subresource)) => keys.push((numbers.of(resource), numbers.of(subresource))),
        }
        if let Some(subresource) = pattern.strip_prefix("*/") {
            keys.push((ANY, numbers.of(subresource)));
        }
        if let Some(resource) = pattern.strip_suffix("/*") {
            keys.push((numbers.of(resource), ANY));
        }
    }
    keys
}

/// Numbers strings in the order in which they come.
struct Numbers<'p> {
    numbers: SortedMap<&'p str, u32>,
}

impl<'p> Numbers<'p> {
    const fn new() -> Self {
        Self { numbers: SortedMap::new() }
    }

    fn of(&mut self, text: &'p str) -> u32 {
        if let Some(&known) = self.numbers.get(&text) {
            return known;
        }
        let next = u32::try_from(self.numbers.len()).unwrap_or(BARE - 1);
        self.numbers.update(text, |number| *number = next);
        next
    }

    fn into_table(self) -> Table {
        Table::new(self.numbers.into_iter().map(|(text, number)| (text.as_bytes().into(), number)).collect())
    }
}

/// What rules accept of the path of a request that is for no resource.
#[derive(Debug)]
struct Paths {
    /// The rules that no path rules out.
    any: Row,
    exact: Table,
    /// Sorted. Each row includes those of the shorter prefixes it begins with.
    prefixes: Vec<Prefix>,
}

#[derive(Debug)]
struct Prefix {
    text: Box<[u8]>,
    row: Row,
    /// The longest other prefix that this one begins with.
    parent: Option<usize>,
}

impl Paths {
    fn new(rules: &[Rule], rows: &mut RowsBuilder) -> Self {
        let mut any = Bits::default();
        let mut exact: SortedMap<&str, Bits> = SortedMap::new();
        let mut prefixes: SortedMap<&str, Bits> = SortedMap::new();
        for (index, rule) in rules.iter().enumerate() {
            if rule.is_for_resources() {
                continue;
            }
            if rule.non_resource_urls.is_empty() {
                any.insert(index);
            }
            for pattern in rule.non_resource_urls.iter().map(|pattern| pattern.text.as_str()) {
                match url_prefix(pattern) {
                    Some(prefix) => prefixes.update(prefix, |rules| rules.insert(index)),
                    None => exact.update(pattern, |rules| rules.insert(index)),
                }
            }
        }
        let mut paths = Self { any: rows.row(any.clone()), exact: Table::default(), prefixes: Vec::new() };
        let mut accepted: Vec<Bits> = Vec::new();
        for (prefix, rules) in prefixes {
            // Sorted, a prefix comes before what begins with it.
            let parent = paths.longest_prefix(prefix.as_bytes());
            let rules = rules.with(parent.and_then(|parent| accepted.get(parent)).unwrap_or(&any));
            let row = rows.row(rules.clone());
            paths.prefixes.push(Prefix { text: prefix.as_bytes().into(), row, parent });
            accepted.push(rules);
        }
        let exact = exact.into_iter().map(|(path, rules)| {
            let prefix = paths.longest_prefix(path.as_bytes());
            let inherited = prefix.and_then(|prefix| accepted.get(prefix)).unwrap_or(&any);
            (path.as_bytes().into(), rows.row(rules.with(inherited)))
        });
        let exact = Table::new(exact.collect());
        Self { exact, ..paths }
    }

    fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.prefixes.is_empty()
    }

    fn row(&self, path: &[u8]) -> Row {
        if let Some(row) = self.exact.get(path) {
            return row;
        }
        self.longest_prefix(path)
            .and_then(|prefix| self.prefixes.get(prefix))
            .map_or(self.any, |prefix| prefix.row)
    }

    /// The longest prefix that `path` begins with: the last one not after it in the order, or one that
    /// that one begins with.
    fn longest_prefix(&self, path: &[u8]) -> Option<usize> {
        let mut candidate = self.prefixes.partition_point(|prefix| &*prefix.text <= path).checked_sub(1);
        while let Some(prefix) = candidate.and_then(|index| self.prefixes.get(index)) {
            if path.starts_with(&prefix.text) {
                return candidate;
            }
            candidate = prefix.parent;
        }
        None
    }
}

/// A hash table that does not change once it is made: open addressing, at most half full.
#[derive(Debug, Default)]
struct Table {
    /// Index of an entry plus one; 0 where there is none. A power of two of them.
    slots: Vec<u32>,
    entries: Vec<(Box<[u8]>, u32)>,
}

impl Table {
    fn new(entries: Vec<(Box<[u8]>, u32)>) -> Self {
        let mut slots = vec![0; (entries.len() * 2).next_power_of_two()];
        let mask = slots.len() - 1;
        for ((key, _), number) in entries.iter().zip(1..) {
            let mut at = hash(key) & mask;
            while let Some(slot) = slots.get_mut(at) {
                if *slot == 0 {
                    *slot = number;
                    break;
                }
                at = (at + 1) & mask;
            }
        }
        Self { slots, entries }
    }

    fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn get(&self, key: &[u8]) -> Option<u32> {
        if self.entries.is_empty() {
            return None;
        }
        let mask = self.slots.len() - 1;
        let mut at = hash(key) & mask;
        loop {
            let entry = self.slots.get(at)?.checked_sub(1)?;
            let (found, value) = self.entries.get(entry as usize)?;
            if **found == *key {
                return Some(*value);
            }
            at = (at + 1) & mask;
        }
    }
}

/// Eight bytes at a time, a multiplication each; the high half of the product is the well-mixed one.
fn hash(mut bytes: &[u8]) -> usize {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut hash = (bytes.len() as u64).wrapping_mul(ODD);
    while let Some((chunk, rest)) = bytes.split_first_chunk::<8>() {
        hash = (hash.rotate_left(23) ^ u64::from_le_bytes(*chunk)).wrapping_mul(ODD);
        bytes = rest;
    }
    let last = bytes.iter().fold(0, |word, &byte| word << 8 | u64::from(byte));
    hash = (hash.rotate_left(23) ^ last).wrapping_mul(ODD);
    (hash >> 32) as usize
}
