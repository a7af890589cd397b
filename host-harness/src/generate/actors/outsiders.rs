//! The internet: whoever finds a public endpoint tries it.

use std::rc::Rc;

use super::super::bodies::kind;
use super::super::cluster::anonymous;
use super::super::day::Day;
use super::super::event::Request;

/// A stranger's request: refused, as anonymous or with credentials that are none.
pub(super) fn knock(day: &mut Day) {
    let address = format!("198.51.100.{}", day.rng.between(130, 250));
    let agent = *day.rng.pick(&[
        "Mozilla/5.0 (compatible; InternetCensus/1.1)",
        "Go-http-client/1.1",
        "python-requests/2.32.3",
        "zgrab/0.x",
    ]);
    let caller = Rc::new(anonymous(&address, agent));
    let request = match day.rng.below(4) {
        0 => Request::path(&caller, "get", "/").forbidden(),
        1 => Request::path(&caller, "get", "/.env").forbidden(),
        2 => Request::new(&caller, "list", kind::PODS).unauthenticated(),
        _ => Request::new(&caller, "list", kind::NAMESPACES).query("limit=1").unauthenticated(),
    };
    day.send(request);
}
