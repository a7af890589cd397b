//! Those who ask the API server how it is: load balancers, Prometheus, clients that read what API there is.

use std::rc::Rc;

use super::super::bodies;
use super::super::clock::MILLISECOND;
use super::super::cluster::anonymous;
use super::super::day::Day;
use super::super::event::Request;

/// The provider's load balancer checks from these, which belong to its own network (RFC 6598).
const BALANCERS: [&str; 4] = ["100.117.64.9", "100.117.64.74", "100.117.65.12", "100.117.65.140"];

pub(super) fn check_health(day: &mut Day) {
    let path = *day.rng.pick(&["/livez", "/readyz", "/healthz", "/readyz", "/readyz?verbose", "/version"]);
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let caller = if day.rng.chance(700) {
        Rc::new(anonymous(BALANCERS[day.rng.index(BALANCERS.len())], ""))
    } else {
        Rc::new(anonymous("10.24.255.3", "kube-probe/1.30"))
    };
    let request = Request::path(&caller, "get", path).query(query).latency(600);
    // Now and then a check comes while etcd is slow.
    let request = if path == "/readyz" && day.rng.chance(4) { request.code(500) } else { request };
    day.send(request);
}

pub(super) fn scrape_metrics(day: &mut Day) {
    let caller = day.cluster.account("monitoring", "prometheus-k8s");
    let latency = day.rng.between(40, 400) * MILLISECOND;
    day.send(Request::path(&caller, "get", "/metrics").latency(latency));
}

pub(super) fn discover(day: &mut Day) {
    let caller = match day.rng.below(3) {
        0 => day.cluster.account("argocd", "argocd-application-controller"),
        1 => day.cluster.account("monitoring", "prometheus-operator"),
        _ => day.cluster.account("cert-manager", "cert-manager"),
    };
    let (path, group_version, count) = *day.rng.pick(&[
        ("/api/v1", "v1", 52),
        ("/apis/apps/v1", "apps/v1", 11),
        ("/apis/networking.k8s.io/v1", "networking.k8s.io/v1", 4),
        ("/apis/monitoring.coreos.com/v1", "monitoring.coreos.com/v1", 16),
    ]);
    day.send(
        Request::path(&caller, "get", path)
            .query("timeout=32s")
            .answer(bodies::api_resources(group_version, count)),
    );
}

pub(super) fn read_schema(day: &mut Day) {
    let caller = match day.rng.below(3) {
        0 => Rc::clone(&day.cluster.callers.apiserver),
        1 => Rc::clone(&day.cluster.callers.robot),
        _ => day.cluster.account("argocd", "argocd-application-controller"),
    };
    let path = *day.rng.pick(&["/openapi/v2", "/openapi/v3", "/openapi/v3/apis/apps/v1"]);
    let query = if path.ends_with("apps/v1") {
        format!("hash={}", day.rng.hex(32).to_uppercase())
    } else {
        "timeout=32s".into()
    };
    let request = Request::path(&caller, "get", path).query(query).latency(35 * MILLISECOND);
    let request = if day.rng.chance(500) { request.code(304) } else { request };
    day.send(request);
}
