//! Whether a request asked only to be tried (`dryRun=All`), as far as the event tells.
//!
//! What is taken for a trial is not taken for a deed, so an attacker would like to have a deed look like one:
//! the parameter counts only where kube-apiserver heeds it.

use super::classify::{Subresource, Verb};
use super::command::parameters;
use crate::json::{self, Raw, has_pair, position, position_of_pair};
use crate::policy::Level;
use crate::record::{Event, Member};

/// Whether the request changed nothing because it was a dry run.
///
/// Creations, updates and patches heed the query; streams and proxied requests do not. A deletion heeds its
/// body (`DeleteOptions`) where it has one, else the query; an event that does not tell whether there was a
/// body is taken at its worst.
pub(super) fn is_dry_run(event: &Event<'_>, verb: Verb, subresource: Subresource) -> bool {
    if subresource.leads_on() {
        return false;
    }
    match verb {
        Verb::Create | Verb::Update | Verb::Patch => query_asks(event),
        Verb::Delete | Verb::DeleteCollection => match event.get(Member::RequestObject) {
            Some(options) => options.get(b"dryRun").is_some_and(all_stages),
            None => Level::of(event) >= Some(Level::Request) && query_asks(event),
        },
        _ => false,
    }
}

/// `DeleteOptions.dryRun`, a list whose one permitted element is `All`.
fn all_stages(stages: Raw<'_>) -> bool {
    json::elements(stages).any(|stage| stage.text().is_some_and(|stage| stage.is(b"All")))
}

fn query_asks(event: &Event<'_>) -> bool {
    let Some(uri) = event.text(Member::RequestUri) else { return false };
    let uri = uri.decode();
    let Some(query) = position(&uri, b'?').and_then(|at| uri.get(at..)) else { return false };
    // Nearly no request has the parameter, and looking for it is cheaper than taking the query apart. One of these stands
    // in its name even where each letter is encoded.
    let may_have_it =
        has_pair(query, [*b"yR", *b"%7"], false) || position_of_pair(query, *b"%5", false).is_some();
    may_have_it && parameters(&uri).any(|(name, value)| name == b"dryRun" && value == b"All")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_api_server_heeds_is_a_trial() {
        for (verb, uri, more, expected) in [
            ("create", "/x?dryRun=All", "", true),
            ("patch", "/x?fieldManager=k\\u0026dryRun=All\\u0026force=true", "", true),
            ("update", "/x?dryRun=%41ll", "", true),
            ("update", "/x?a=%2f&dr%79Run=All", "", true),
            ("update", "/x?dry%52un=All", "", true),
            ("update", "/x?%64%72%79%52%75%6e=All", "", true),
            (
                "create",
                "/x?dryRun=All",
                r#","objectRef":{"resource":"serviceaccounts","subresource":"token"}"#,
                true,
            ),
            ("create", "/x", "", false),
            ("create", "/x?dryRun=", "", false),
            ("create", "/x?dryrun=All", "", false),
            ("create", "/x?a?dryRun=All", "", false),
            ("create", "/x?command=dryRun=All", "", false),
            ("create", "/dryRun=All", "", false),
            ("create", "/x?dryRun=All", r#","objectRef":{"resource":"pods","subresource":"exec"}"#, false),
            ("get", "/x?dryRun=All", "", false),
            ("delete", "/x?dryRun=All", r#","level":"Request""#, true),
            ("delete", "/x", r#","level":"Request","requestObject":{"dryRun":["All"]}"#, true),
            // The body counts where there is one, and nobody knows whether there was one.
            (
                "delete",
                "/x?dryRun=All",
                r#","level":"Request","requestObject":{"kind":"DeleteOptions"}"#,
                false,
            ),
            ("delete", "/x?dryRun=All", r#","level":"Metadata""#, false),
        ] {
            let record = format!(
                r#"{{"kind":"Event","apiVersion":"audit.k8s.io/v1","verb":"{verb}","requestURI":"{uri}"{more}}}"#
            );
            let event = Event::read(record.as_bytes(), b"audit").unwrap();
            assert_eq!(super::super::Normalizer::default().normalize(&event).dry_run, expected, "{record}");
        }
    }
}
