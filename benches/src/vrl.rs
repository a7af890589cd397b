//! ACK's audit policy in Vector's language, run as Vector's `remap` transform runs it: the line is parsed, the policy
//! applied, the event is left as a value. What writing it out again costs is not counted.

use std::collections::BTreeMap;

use anyhow::{Result, anyhow};
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
        }
    }
}
