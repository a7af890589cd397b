//! `host-harness report`: writes the audit reports, as one self-contained page or as numbers.
//!
//! ```text
//! line ─▶ Collector ─┬─▶ Records ─┬───────▶ page: <script id="start">, or JSON
//!                    │            └───────▶ page: <script id="records">
//!                    └─▶ Story, output ───▶ page: <script class="details">, piece by piece
//! ```
//!
//! What the page shows first need not be counted any more: the reports on everything. From the records it makes the reports
//! under a filter. The details, most of the file, stand behind the page's script, which does not wait for them; it unpacks
//! the piece with the event that is opened.
//!
//! What the page holds is data in base64, which no browser takes for anything else, whatever an event says.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use audit_filter_report::collector::{Collected, Collector};
use audit_filter_report::filter::Filter;
use audit_filter_report::records::Records;
use audit_filter_report::story::Story;
use audit_filter_report::text::{events, grouped};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use clap::{Args, ValueEnum};
use flate2::Compression;
use flate2::write::GzEncoder;

use super::inputs::{each_record, inputs};
use crate::artifact::Artifact;
use crate::cli::FilterOptions;
use crate::configuration;
use crate::exit::{ExitStatus, Misconfigured};
use crate::lines::DEFAULT_MAX_LINE_BYTES;
use crate::progress::Progress;

const PAGE: Artifact = Artifact {
    in_target: "page/audit-centre.html",
    installed: "audit-centre.html",
    missing: "there is no page to put the reports into: build it with `cargo xtask page`, name one with --page FILE, \
              or ask for the numbers alone with --format json",
};

/// Where in the page the data goes that it needs to start.
const DATA_PLACE: &str = "<!--data-->";

/// Where in the page the details go.
const DETAILS_PLACE: &str = "<!--details-->";

/// Bytes of details that are compressed together: what a browser unpacks to show one event.
const PIECE_BYTES: usize = 256 * 1024;

/// Write the audit reports as one self-contained page
///
/// The events go through the filter as with `run`; events that a filter has seen before, such as a collector has stored,
/// are taken as they are. The page has the reports, each kept event and why it was kept, and a playground for policies and
/// rules. It needs no server and no network: open it from disk, mail it, keep it. What the policy removes is not in it.
///
/// With --format json the same numbers go to stdout, or to the file of -o.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  host-harness report audit.log -o report.html
  host-harness report --config audit-filter.yaml audit-*.log.gz -o report.html
  host-harness report --format json kept.jsonl | jq .overview.severities")]
pub struct Arguments {
    /// Where the events are, one a line; - is stdin, and so is naming none
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,

    /// Where the reports go
    #[arg(long, short, value_name = "OUT")]
    pub output: Option<PathBuf>,

    /// What to write
    #[arg(long, value_enum, default_value_t)]
    pub format: ReportFormat,

    /// The page to put the reports into, instead of the one that `cargo xtask page` has built
    #[arg(long, value_name = "FILE")]
    pub page: Option<PathBuf>,

    /// Leave out longer lines, and report them
    #[arg(long, value_name = "BYTES", default_value_t = DEFAULT_MAX_LINE_BYTES)]
    pub max_line_bytes: u64,

    /// Show neither progress nor what was written
    #[arg(long, short)]
    pub quiet: bool,

    /// How the filter is configured. The engine inside this program filters, which decides as the module does.
    #[command(flatten)]
    pub filter: FilterOptions,
}

/// What to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum ReportFormat {
    /// The page
    #[default]
    Html,
    /// The numbers
    Json,
}

/// Runs the command.
///
/// # Errors
/// [`Misconfigured`] before anything is read; whatever goes wrong with input or output.
pub fn run(arguments: &Arguments) -> anyhow::Result<ExitStatus> {
    let inputs = inputs(&arguments.files)?;
    let page = match arguments.format {
        ReportFormat::Html if arguments.output.is_none() => {
            let text = "the page goes to a file: name it with --output FILE, or ask for the numbers with --format json";
            return Err(Misconfigured(text.to_owned()).into());
        }
        ReportFormat::Html => Some(Page::read(arguments.page.as_deref())?),
        ReportFormat::Json => None,
    };
    let mut collector = Collector::new(configuration::load(&arguments.filter.configuration)?.config);
    let output_key = collector.output_key().to_owned();
    let progress = Progress::new(arguments.quiet, inputs.iter().map(|input| input.size).sum());
    let mut details = Details::default();

    let too_long = each_record(&inputs, arguments.max_line_bytes, &progress, |record| {
        for event in events(record.bytes) {
            let collected = collector.add(event);
            if page.is_some() {
                details.add(event, &collected, &output_key)?;
            }
        }
        Ok(ControlFlow::Continue(()))
    })?;
    progress.finish();
    let records = collector.finish();

    let mut out: Box<dyn Write> = match &arguments.output {
        Some(path) => {
            let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
            Box::new(BufWriter::new(file))
        }
        None => Box::new(io::stdout().lock()),
    };
    match page {
        Some(page) => page.write(&records, details, &mut out),
        None => serde_json::to_writer_pretty(&mut out, &records.report(&Filter::default()))
            .map_err(io::Error::from)
            .and_then(|()| writeln!(out)),
    }
    .and_then(|()| out.flush())
    .context("cannot write the reports")?;

    super::write_statistics(arguments.filter.stats.as_deref(), records.tally())?;
    if let (Some(path), false) = (&arguments.output, arguments.quiet) {
        let bytes = fs::metadata(path).map_or(0, |metadata| metadata.len());
        let (events, bytes) = (grouped(records.len() as u64), grouped(bytes));
        crate::say(format_args!("{}: {events} events, {bytes} bytes", path.display()));
    }
    Ok(if too_long > 0 { ExitStatus::Failure } else { ExitStatus::Success })
}

/// A page without data, in the parts between which the data goes.
struct Page {
    before: String,
    between: String,
    after: String,
}

impl Page {
    fn read(chosen: Option<&Path>) -> anyhow::Result<Self> {
        let path = PAGE.find(chosen)?;
        let text = fs::read_to_string(&path)
            .with_context(|| Misconfigured(format!("cannot read the page {}", path.display())))?;
        let parts = text.split_once(DATA_PLACE).and_then(|(before, rest)| {
            let (between, after) = rest.split_once(DETAILS_PLACE)?;
            Some(Self { before: before.to_owned(), between: between.to_owned(), after: after.to_owned() })
        });
        parts.with_context(|| {
            let places = format!("{DATA_PLACE} or no {DETAILS_PLACE}");
            Misconfigured(format!("{} is no page of this program's: it has no {places}", path.display()))
        })
    }

    fn write(&self, records: &Records, details: Details, out: &mut dyn Write) -> io::Result<()> {
        let start = serde_json::to_vec(&records.start())?;
        let records = records.to_bytes().map_err(io::Error::other)?;
        out.write_all(self.before.as_bytes())?;
        write_data(out, r#"id="start""#, &start)?;
        write_data(out, r#"id="records""#, &records)?;
        out.write_all(self.between.as_bytes())?;
        out.write_all(&details.finish()?)?;
        out.write_all(self.after.as_bytes())
    }
}

/// Writes an element that a browser neither runs nor shows. Base64 has no sign that means anything in HTML.
fn write_data(out: &mut dyn Write, attributes: &str, data: &[u8]) -> io::Result<()> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(data)?;
    let data = BASE64.encode(encoder.finish()?);
    writeln!(out, r#"<script type="application/octet-stream" {attributes}>{data}</script>"#)
}

/// The kept events with their explanations, in pieces that are compressed each by itself: an element for each, which says
/// the number of its first event. In a piece two lines for each event: the explanation, the event.
#[derive(Default)]
struct Details {
    elements: Vec<u8>,
    piece: Vec<u8>,
    first: Option<u32>,
}

impl Details {
    fn add(&mut self, event: &[u8], collected: &Collected, output_key: &str) -> io::Result<()> {
        let Some(id) = collected.id else { return Ok(()) };
        self.first.get_or_insert(id);
        let (lines, output) = match &collected.explanation {
            Some(explanation) => {
                (Story::new(event, explanation, output_key).lines(), explanation.output.as_slice())
            }
            None => (Vec::new(), event),
        };
        serde_json::to_writer(&mut self.piece, &lines)?;
        self.piece.push(b'\n');
        // Between the parts of an object a newline is whitespace, and inside of them there is none.
        self.piece.extend(output.iter().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte }));
        self.piece.push(b'\n');
        if self.piece.len() >= PIECE_BYTES { self.end_piece() } else { Ok(()) }
    }

    fn end_piece(&mut self) -> io::Result<()> {
        let Some(first) = self.first.take() else { return Ok(()) };
        write_data(&mut self.elements, &format!(r#"class="details" data-first="{first}""#), &self.piece)?;
        self.piece.clear();
        Ok(())
    }

    fn finish(mut self) -> io::Result<Vec<u8>> {
        self.end_piece()?;
        Ok(self.elements)
    }
}
