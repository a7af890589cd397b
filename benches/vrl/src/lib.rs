//! ACK's audit policy in Vector's language, run as Vector's `remap` transform runs it: the line is parsed, the policy
//! applied, the event is left as a value. What writing it out again costs is not counted.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, anyhow, ensure};
use audit_filter_benches::events::Events;
use audit_filter_engine::config::{NoFiles, load};
use audit_filter_engine::{Engine, Outcome};
use vrl::compiler::runtime::{Runtime, Terminate};
use vrl::compiler::{Program, TargetValue, TimeZone, compile};
use vrl::value::{Secrets, Value};

const SCRIPT: &str = include_str!("ack-policy.vrl");

/// The script, compiled.
pub struct Script {
    program: Program,
    runtime: Runtime,
    time_zone: TimeZone,
}

impl Script {
    /// Compiles it.
    ///
    /// # Errors
    /// Where it is wrong.
    pub fn new() -> Result<Self> {
        let compiled = compile(SCRIPT, &vrl::stdlib::all()).map_err(|why| anyhow!("{why:?}"))?;
        Ok(Self { program: compiled.program, runtime: Runtime::default(), time_zone: TimeZone::default() })
    }

    /// The event that goes on, if it does.
    ///
    /// # Errors
    /// Where the line is not JSON.
    pub fn run(&mut self, line: &[u8]) -> Result<Option<Value>> {
        let message = BTreeMap::from([("message".into(), Value::from(line))]);
        let mut target = TargetValue {
            value: Value::Object(message),
            metadata: Value::Object(BTreeMap::new()),
            secrets: Secrets::default(),
        };
        let result = self.runtime.resolve(&mut target, &self.program, &self.time_zone);
        self.runtime.clear();
        match result {
            Ok(_) => Ok(Some(target.value)),
            Err(Terminate::Abort(_)) => Ok(None),
            Err(Terminate::Error(why)) => Err(anyhow!("{why}")),
            Err(Terminate::Interrupted) => Err(anyhow!("the script was interrupted")),
        }
    }
}

/// Members by which it shows what was made of an event.
const TELLING: [&str; 4] = ["level", "auditID", "requestObject", "responseObject"];

/// Fails unless the filter and the script let the same events go on, at the same level, with the same bodies: a
/// comparison of programs that do different things is worse than none.
///
/// # Errors
/// The first event on which they differ.
pub fn agree(events: &Events, script: &mut Script) -> Result<()> {
    let mut engine = Engine::new(load(&NoFiles).config.context("the built-in configuration is wrong")?);
    let mut out = Vec::new();
    for event in events.lines() {
        out.clear();
        let kept = engine.filter(event, &mut out) != Outcome::Dropped;
        let ours: Option<serde_json::Value> = kept.then(|| serde_json::from_slice(&out)).transpose()?;
        let theirs = script.run(event)?.map(serde_json::to_value).transpose()?;
        let telling = |event: &Option<serde_json::Value>| {
            event.as_ref().map(|event| TELLING.map(|name| event.get(name).cloned()))
        };
        ensure!(
            telling(&ours) == telling(&theirs),
            "not judged alike: {:.400}",
            String::from_utf8_lossy(event)
        );
    }
    Ok(())
}
