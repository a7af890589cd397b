//! The way of a record through the engine, from its bytes to the bytes that go on.

use crate::config::Config;
use crate::emit::{self, Edits};
use crate::json;
use crate::record::{Event, TopLevel, Unreadable};

/// Said of an event whose strings were not all UTF-8.
const INVALID_UTF8: &str = "invalid UTF-8 replaced by U+FFFD";

/// What became of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// An audit event that goes on, with its `audit` object.
    Kept,
    /// An audit event that the policy does not want.
    Dropped,
    /// A record that could not be treated as an audit event: goes on with `audit.error`, otherwise untouched.
    PassedThrough,
}

/// The filter: a configuration, and the buffers that it reuses from record to record.
#[derive(Debug)]
pub struct Engine {
    config: Config,
    scratch: Scratch,
}

#[derive(Debug, Default)]
struct Scratch {
    edits: Edits,
    audit: Vec<u8>,
}

impl Engine {
    /// A filter with that configuration.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self { config, scratch: Scratch::default() }
    }

    /// Filters one record and appends what goes on to `out`: a JSON object on one line if the record was
    /// on one, or nothing where the record is dropped. Never fails and never panics, whatever the record.
    pub fn filter(&mut self, record: &[u8], out: &mut Vec<u8>) -> Outcome {
        match Event::read(record, self.config.output_key.as_bytes()) {
            Ok(event) if event.non_ascii() && std::str::from_utf8(record).is_err() => {
                let mended = String::from_utf8_lossy(record).into_owned();
                match Event::read(mended.as_bytes(), self.config.output_key.as_bytes()) {
                    Ok(event) => self.event(mended.as_bytes(), &event, Some(INVALID_UTF8), out),
                    Err(why) => self.pass_through(mended.as_bytes(), why, out),
                }
            }
            Ok(event) => self.event(record, &event, None, out),
            Err(why) => self.pass_through(record, why, out),
        }
    }

    /// To be called before the next record where a call was cut short in its middle (a trap in a host):
    /// forgets the buffers that it may have left in disorder.
    pub fn recover(&mut self) {
        std::mem::forget(std::mem::take(&mut self.scratch));
    }

    fn event(&mut self, record: &[u8], event: &Event<'_>, note: Option<&str>, out: &mut Vec<u8>) -> Outcome {
        let Scratch { edits, audit } = &mut self.scratch;
        edits.clear();
        audit.clear();
        audit.extend_from_slice(b"{}");
        emit::write(record, event.close(), edits, self.config.output_key.as_bytes(), audit, out);
        Outcome::Kept
    }

    /// Lets a record go on with the reason why it was not treated as an audit event. An object keeps its
    /// bytes; what is none goes into the member where Fluent Bit's `tail` puts a line that it does not parse.
    fn pass_through(&mut self, record: &[u8], why: Unreadable, out: &mut Vec<u8>) -> Outcome {
        let key = self.config.output_key.as_bytes();
        let Scratch { edits, audit } = &mut self.scratch;
        edits.clear();
        audit.clear();
        audit.extend_from_slice(b"{\"error\":");
        json::push_string(audit, why.to_string().as_bytes());
        audit.push(b'}');
        let mended = String::from_utf8_lossy(record);
        let record = mended.as_bytes();
        match close_of_object(record, key) {
            Some(Ok(close)) => emit::write(record, close, edits, key, audit, out),
            // Somebody else's member of that name is not ours to replace.
            Some(Err(Taken)) => out.extend_from_slice(record),
            None => {
                out.extend_from_slice(b"{\"log\":");
                json::push_string(out, record);
                emit::write(b"", 0, edits, key, audit, out);
            }
        }
        Outcome::PassedThrough
    }
}

/// A member of the output's name is there already.
struct Taken;

/// Where the closing brace of the object stands, if the record is one.
fn close_of_object(record: &[u8], output_key: &[u8]) -> Option<Result<usize, Taken>> {
    let mut members = TopLevel::new(record).ok()?;
    let mut taken = false;
    while let Some((name, _)) = members.next().ok()? {
        taken |= name.is(output_key);
    }
    Some(if taken { Err(Taken) } else { Ok(members.close()) })
}
