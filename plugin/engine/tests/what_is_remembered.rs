//! An engine that remembers what has come before makes the same of an event as one that does not.
#![allow(clippy::unwrap_used, reason = "tests may panic")]

use audit_filter_engine::Engine;
use audit_filter_engine::config::{self, NoFiles};
use audit_filter_engine::record::Member;
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::Value;
use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

/// How many members an event may have.
const MEMBERS: usize = Member::ALL.len();

static SAMPLE: LazyLock<Vec<Value>> = LazyLock::new(|| {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/sample-audit.jsonl");
    let log = fs::read_to_string(path).unwrap();
    log.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
});

/// An event of the sample, each member of it or of another.
fn record(donors: &[Index; MEMBERS], mixed: u32) -> String {
    let own = donors[0].index(SAMPLE.len());
    // As kube-apiserver orders them.
    let members = Member::ALL.iter().zip(donors).enumerate().filter_map(|(at, (member, donor))| {
        let name = member.name();
        let from = if mixed >> at & 1 == 1 { donor.index(SAMPLE.len()) } else { own };
        let value = SAMPLE[from].get(name)?;
        Some(format!("{name:?}:{value}"))
    });
    format!("{{{}}}", members.collect::<Vec<_>>().join(","))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(4) })]

    #[test]
    fn changes_nothing(
        records in prop::collection::vec((any::<[Index; MEMBERS]>(), any::<u32>(), any::<u32>()), 40),
        order in prop::collection::vec(any::<Index>(), 160),
    ) {
        let engine = || Engine::new(config::load(&NoFiles).config.unwrap());
        let (mut remembering, mut forgetful) = (engine(), engine());
        // A third of the members is another event's.
        let records: Vec<String> =
            records.iter().map(|(donors, some, others)| record(donors, some & others)).collect();
        for at in order {
            let record = at.get(&records).as_bytes();
            let (mut out, mut expected) = (Vec::new(), Vec::new());
            let outcome = remembering.filter(record, &mut out);
            forgetful.recover();
            prop_assert_eq!(outcome, forgetful.filter(record, &mut expected));
            prop_assert_eq!(String::from_utf8(out), String::from_utf8(expected));
        }
    }
}
