//! What goes on in a cluster all day: the table of actors and how often each acts.
//!
//! An act is a function that sends one request, or a short chain of requests that follow from one another. Weights
//! count acts, not events.

mod addons;
mod control_plane;
mod kubelet;
mod operators;
mod outsiders;
pub(super) mod people;
mod probes;

use super::clock::OFFICE_HOURS;
use super::day::Day;

/// When an actor is active.
#[derive(Clone, Copy)]
enum Hours {
    DayAndNight,
    Office,
}

struct Actor {
    weight: u64,
    hours: Hours,
    act: fn(&mut Day),
}

const fn always(weight: u64, act: fn(&mut Day)) -> Actor {
    Actor { weight, hours: Hours::DayAndNight, act }
}

const fn office(weight: u64, act: fn(&mut Day)) -> Actor {
    Actor { weight, hours: Hours::Office, act }
}

/// Everybody. The weights follow what API servers of clusters of this size report per verb and client: a third
/// kubelets, a third the control plane's own components, the rest add-ons, and people hardly visible between them.
const ACTORS: &[Actor] = &[
    always(135, kubelet::renew_lease),
    always(55, kubelet::read_node),
    always(38, kubelet::report_node),
    always(22, kubelet::report_pod),
    always(24, kubelet::watch_mounts),
    always(14, kubelet::read_secret),
    always(16, kubelet::request_token),
    always(14, kubelet::ask_for_access),
    always(10, kubelet::review_token),
    always(12, kubelet::tell_event),
    always(8, kubelet::watch_pods),
    always(1, kubelet::renew_certificate),
    always(95, control_plane::keep_leadership),
    always(55, control_plane::look_after_itself),
    always(34, control_plane::discover),
    always(20, control_plane::update_endpoints),
    always(22, control_plane::update_workload_status),
    always(24, control_plane::scale_automatically),
    always(10, control_plane::count_quota),
    always(34, control_plane::watch),
    always(3, control_plane::run_scheduled_job),
    always(2, control_plane::lose_a_pod),
    always(6, control_plane::collect_garbage),
    always(70, probes::check_health),
    always(14, probes::scrape_metrics),
    always(22, probes::discover),
    always(5, probes::read_schema),
    always(44, addons::watch),
    always(16, addons::read_metrics),
    always(20, addons::list),
    always(9, addons::tend_volumes),
    always(8, addons::review_requests),
    always(8, addons::mark_node),
    always(16, operators::keep_leadership),
    always(9, operators::renew_certificate),
    always(10, operators::sync_application),
    always(2, operators::apply_definition),
    always(8, operators::sync_secret),
    always(6, operators::publish_ingress),
    always(3, operators::lack_permission),
    office(44, people::look_around),
    office(16, people::describe),
    office(16, people::read_logs),
    office(9, people::apply),
    office(4, people::roll_out),
    office(5, people::scale),
    office(9, people::exec),
    office(4, people::forward_port),
    office(3, people::copy_files),
    office(3, people::delete_pod),
    office(7, people::ask_permission),
    office(16, people::use_dashboard),
    office(5, people::be_refused),
    always(9, people::release_by_robot),
    always(5, outsiders::knock),
];

/// Lets one actor act.
pub(super) fn act(day: &mut Day) {
    // In hundredths, so that the office's hours can be a share.
    let present = OFFICE_HOURS[day.hour()];
    let weight = |actor: &Actor| match actor.hours {
        Hours::DayAndNight => actor.weight * 100,
        Hours::Office => actor.weight * present,
    };
    let mut ticket = day.rng.below(ACTORS.iter().map(weight).sum());
    for actor in ACTORS {
        let weight = weight(actor);
        if ticket < weight {
            return (actor.act)(day);
        }
        ticket -= weight;
    }
}
