//! Sets of networks, as the configuration lists them: trusted proxies, internal ranges, addresses known
//! to be bad.
//!
//! A list may have thousands of networks and is asked for every kept event, so a set is two sorted arrays of
//! ranges that neither overlap nor touch, searched by halving.

use crate::sort::sort;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// One network or single address, IPv4 or IPv6.
///
/// An IPv4 network in IPv6 clothes (`::ffff:10.0.0.0/104`) is the IPv4 network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network(Range);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Range {
    V4(u32, u32),
    V6(u128, u128),
}

/// Why an entry of a list is no network, with what to write instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkError {
    entry: String,
    problem: Problem,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Problem {
    NotAnAddress,
    PrefixLength { longest: u8 },
    HostBits { network: String },
}

impl fmt::Display for NetworkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entry = &self.entry;
        match &self.problem {
            Problem::NotAnAddress => write!(
                f,
                "{entry:?} is no address and no network; write one like 192.0.2.7, 10.0.0.0/8 or 2001:db8::/32"
            ),
            Problem::PrefixLength { longest } => {
                write!(f, "the prefix length of {entry:?} is no number from 0 to {longest}; write it as one")
            }
            Problem::HostBits { network } => write!(
                f,
                "{entry:?} has bits set beyond its prefix; write {network:?}, or the address without a prefix"
            ),
        }
    }
}

impl std::error::Error for NetworkError {}

/// How much of a bad entry an error repeats, in characters: a whole file may stand where a list was meant.
const LONGEST_ENTRY_IN_ERROR: usize = 64;

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(entry: &str) -> Result<Self, NetworkError> {
        let fail =
            |problem| NetworkError { entry: entry.chars().take(LONGEST_ENTRY_IN_ERROR).collect(), problem };
        let (address, prefix) = match entry.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (entry, None),
        };
        let address: IpAddr = address.parse().map_err(|_| fail(Problem::NotAnAddress))?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => longest,
            Some(digits) => digits
                .parse()
                .ok()
                .filter(|&length| length <= longest && digits.bytes().all(|b| b.is_ascii_digit()))
                .ok_or_else(|| fail(Problem::PrefixLength { longest }))?,
        };
        match address {
            IpAddr::V4(address) => {
                let (first, last) = v4_range(address.to_bits(), prefix);
                if first != address.to_bits() {
                    let network = format!("{}/{prefix}", Ipv4Addr::from_bits(first));
                    return Err(fail(Problem::HostBits { network }));
                }
                Ok(Self(Range::V4(first, last)))
            }
            IpAddr::V6(address) => {
                let (first, last) = v6_range(address.to_bits(), prefix);
                if first != address.to_bits() {
                    let network = format!("{}/{prefix}", Ipv6Addr::from_bits(first));
                    return Err(fail(Problem::HostBits { network }));
                }
                Ok(Self(match (address.to_ipv4_mapped(), prefix.checked_sub(96)) {
                    (Some(mapped), Some(prefix)) => {
                        let (first, last) = v4_range(mapped.to_bits(), prefix);
                        Range::V4(first, last)
                    }
                    _ => Range::V6(first, last),
                }))
            }
        }
    }
}

/// The first and the last address of the network of that prefix length, at most 32, around an address.
fn v4_range(address: u32, prefix: u8) -> (u32, u32) {
    let host = u32::MAX.checked_shr(u32::from(prefix)).unwrap_or(0);
    (address & !host, address | host)
}

/// The first and the last address of the network of that prefix length, at most 128, around an address.
fn v6_range(address: u128, prefix: u8) -> (u128, u128) {
    let host = u128::MAX.checked_shr(u32::from(prefix)).unwrap_or(0);
    (address & !host, address | host)
}

/// The networks of a list with one a line, each with the number of its line, from 1, and its error if it
/// is none. Blank lines do not count, nor does what follows `#` or `;`, which published lists use for remarks.
pub fn lines(text: &str) -> impl Iterator<Item = (u32, Result<Network, NetworkError>)> {
    (1..).zip(text.lines()).filter_map(|(number, line)| {
        let entry = line.split(['#', ';']).next().unwrap_or_default().trim();
        if entry.is_empty() { None } else { Some((number, entry.parse())) }
    })
}

/// A set of networks: the first and the last address of each range, sorted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Networks {
    pub(crate) v4: Vec<(u32, u32)>,
    pub(crate) v6: Vec<(u128, u128)>,
}

impl Networks {
    /// Whether one of the networks has the address. IPv4 addresses are to be given as such, not mapped.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(address) => covers(&self.v4, address.to_bits()),
            IpAddr::V6(address) => covers(&self.v6, address.to_bits()),
        }
    }

    /// Whether there is no network in the set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty()
    }
}

impl FromIterator<Network> for Networks {
    fn from_iter<I: IntoIterator<Item = Network>>(networks: I) -> Self {
        let mut set = Self::default();
        for Network(range) in networks {
            match range {
                Range::V4(first, last) => set.v4.push((first, last)),
                Range::V6(first, last) => set.v6.push((first, last)),
            }
        }
        merge(&mut set.v4, |last| last.checked_add(1));
        merge(&mut set.v6, |last| last.checked_add(1));
        set
    }
}

/// Sorts ranges and makes one of those that overlap or touch.
fn merge<T: Copy + Ord>(ranges: &mut Vec<(T, T)>, after: impl Fn(T) -> Option<T>) {
    sort(ranges);
    // `earlier` stays where `later` is taken away.
    ranges.dedup_by(|later, earlier| {
        let apart = after(earlier.1).is_some_and(|next| next < later.0);
        if !apart {
            earlier.1 = earlier.1.max(later.1);
        }
        !apart
    });
    ranges.shrink_to_fit();
}

fn covers<T: Copy + Ord>(ranges: &[(T, T)], address: T) -> bool {
    let after = ranges.partition_point(|&(first, _)| first <= address);
    after.checked_sub(1).and_then(|at| ranges.get(at)).is_some_and(|&(_, last)| address <= last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn set(entries: &[&str]) -> Networks {
        entries.iter().map(|entry| entry.parse::<Network>().unwrap()).collect()
    }

    #[test]
    fn a_network_has_its_addresses_from_the_first_to_the_last() {
        for (network, inside, outside) in [
            (
                "10.0.0.0/8",
                &["10.0.0.0", "10.255.255.255"][..],
                &["9.255.255.255", "11.0.0.0", "::a00:0"][..],
            ),
            ("192.0.2.7", &["192.0.2.7"], &["192.0.2.6", "192.0.2.8"]),
            ("192.0.2.7/32", &["192.0.2.7"], &["192.0.2.6", "192.0.2.8"]),
            ("0.0.0.0/0", &["0.0.0.0", "255.255.255.255"], &["::"]),
            ("2001:db8::/32", &["2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"], &["2001:db9::"]),
            ("2001:db8::1", &["2001:db8::1"], &["2001:db8::", "2001:db8::2"]),
            ("::/0", &["::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"], &["10.0.0.1"]),
            ("::ffff:10.0.0.0/104", &["10.0.0.0", "10.255.255.255"], &["11.0.0.0"]),
            ("::ffff:192.0.2.7", &["192.0.2.7"], &["192.0.2.8"]),
        ] {
            let networks = set(&[network]);
            for address in inside {
                assert!(networks.contains(address.parse().unwrap()), "{address} in {network}");
            }
            for address in outside {
                assert!(!networks.contains(address.parse().unwrap()), "{address} not in {network}");
            }
        }
    }

    #[test]
    fn networks_that_overlap_or_touch_become_one() {
        let networks = set(&[
            "10.1.0.0/16",
            "10.0.0.0/16",
            "10.0.128.0/17",
            "10.3.0.0/16",
            "255.255.255.255",
            "10.1.2.3",
        ]);
        assert_eq!(networks.v4.len(), 3);
        assert_eq!(set(&["::/1", "8000::/1"]).v6, [(0, u128::MAX)]);
        assert!(!networks.contains("10.2.0.0".parse().unwrap()));
        assert!(networks.contains("255.255.255.255".parse().unwrap()));
    }

    #[test]
    fn a_bad_entry_is_repeated_with_a_remedy() {
        const NO_ADDRESS: &str =
            "is no address and no network; write one like 192.0.2.7, 10.0.0.0/8 or 2001:db8::/32";
        for (entry, message) in [
            ("", format!("\"\" {NO_ADDRESS}")),
            ("10.0.0.0-10.0.0.9", format!("\"10.0.0.0-10.0.0.9\" {NO_ADDRESS}")),
            ("10.0.0/8", format!("\"10.0.0/8\" {NO_ADDRESS}")),
            ("fe80::1%eth0", format!("\"fe80::1%eth0\" {NO_ADDRESS}")),
            ("10.0.0.0/33", "the prefix length of \"10.0.0.0/33\" is no number from 0 to 32; write it as one".to_owned()),
            ("10.0.0.0/+8", "the prefix length of \"10.0.0.0/+8\" is no number from 0 to 32; write it as one".to_owned()),
            ("10.0.0.0/255.0.0.0", "the prefix length of \"10.0.0.0/255.0.0.0\" is no number from 0 to 32; write it as one".to_owned()),
            ("::/129", "the prefix length of \"::/129\" is no number from 0 to 128; write it as one".to_owned()),
            ("10.1.2.3/8", "\"10.1.2.3/8\" has bits set beyond its prefix; write \"10.0.0.0/8\", or the address without a prefix".to_owned()),
            ("2001:db8::1/32", "\"2001:db8::1/32\" has bits set beyond its prefix; write \"2001:db8::/32\", or the address without a prefix".to_owned()),
        ] {
            assert_eq!(entry.parse::<Network>().unwrap_err().to_string(), message);
        }
        let long = "x".repeat(1000).parse::<Network>().unwrap_err().to_string();
        assert!(long.len() < 200, "{long}");
    }

    #[test]
    fn a_list_has_one_network_a_line() {
        let text = "# bad hosts\n192.0.2.7\n\n  198.51.100.0/24 ; seen in May\r\nnonsense # why not\n2001:db8::/32#x\n";
        let read: Vec<_> = lines(text).map(|(line, network)| (line, network.is_ok())).collect();
        assert_eq!(read, [(2, true), (4, true), (5, false), (6, true)]);
    }

    proptest! {
        #[test]
        fn a_set_has_an_address_exactly_if_one_of_its_networks_has_it(
            networks in prop::collection::vec((0u32..256, 24u8..=32), 0..20),
            addresses in prop::collection::vec(0u32..512, 1..50),
        ) {
            let ranges: Vec<_> = networks.iter().map(|&(base, prefix)| v4_range(base, prefix)).collect();
            let set: Networks =
                ranges.iter().map(|&(first, last)| Network(Range::V4(first, last))).collect();
            for address in addresses {
                let expected = ranges.iter().any(|&(first, last)| (first..=last).contains(&address));
                prop_assert_eq!(set.contains(Ipv4Addr::from_bits(address).into()), expected);
            }
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in "\\PC*") {
            let _ = text.parse::<Network>();
            for _ in lines(&text) {}
        }
    }
}
