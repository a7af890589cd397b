//! The groups of a correlation, at most a configured number of them.
//!
//! Whoever can send requests decides how many groups there are: by using many addresses, with a /64 of IPv6 as many
//! as anybody can count. When there is no more room, a quarter of the groups goes, those with the least to lose first:
//!
//! 1. those whose window is over, which cannot fire any more;
//! 2. then those that are least near to firing;
//! 3. among these, those that have not been heard of for longest.
//!
//! A group that has fired and is quiet until its window is over goes last, so that it does not fire again.
//!
//! So newcomers push out newcomers. To push out a group that has seen *p* events, every other group must have seen as
//! many within the timespan: an attacker who wants to be forgotten must send *p* requests from each of as many
//! addresses as there are groups, after each of which all else he does is counted, and to do that he needs no
//! such detour, because from so many addresses each needs to do little. A newcomer stays at least until a quarter as
//! many other newcomers as there are groups have come. In the order of their coming alone, which is what would be
//! simplest, a burst of addresses would push out everything.
//!
//! Going through all groups pays off over the quarter of them that can come before it is done again.

use super::window::{Shape, Window};
use crate::sort::sort;

/// A group's window, and what it is found and judged by.
#[derive(Debug)]
struct Group {
    /// The hash of what the group's events have in common.
    key: u64,
    /// When it was last asked for, as a running number.
    asked: u64,
    window: Window,
}

/// The groups of one correlation.
#[derive(Debug, Default)]
pub(super) struct Groups {
    groups: Vec<Group>,
    /// A group's number plus one, at the first free place from where its key points; a power of two long.
    slots: Vec<u32>,
    asked: u64,
}

impl Groups {
    /// The window of the group with that key, a new one if there is none. `now` is the time of the event at hand.
    pub(super) fn window(&mut self, key: u64, limit: usize, shape: &Shape, now: i64) -> Option<&mut Window> {
        self.asked += 1;
        let known = self.slot(key).and_then(|(_, taken)| taken.checked_sub(1));
        let number = match known {
            Some(number) => number as usize,
            None => {
                if self.groups.len() >= limit.max(1) {
                    self.forget(shape, now);
                }
                self.groups.push(Group { key, asked: 0, window: Window::default() });
                if self.slots.len() < self.groups.len() * 2 {
                    self.place_all((self.slots.len() * 2).max(16));
                } else {
                    self.place(self.groups.len() - 1);
                }
                self.groups.len() - 1
            }
        };
        let group = self.groups.get_mut(number)?;
        group.asked = self.asked;
        Some(&mut group.window)
    }

    /// How many groups there are, and what memory they take.
    #[cfg(test)]
    pub(super) fn extent(&self) -> (usize, usize) {
        let entries: usize = self.groups.iter().map(|group| group.window.bytes()).sum();
        let own = self.groups.capacity() * size_of::<Group>() + self.slots.capacity() * size_of::<u32>();
        (self.groups.len(), own + entries)
    }

    fn forget(&mut self, shape: &Shape, now: i64) {
        let mut ranks: Vec<(u32, u64, usize)> = self
            .groups
            .iter()
            .enumerate()
            .map(|(number, group)| (group.window.progress(shape, now), group.asked, number))
            .collect();
        sort(&mut ranks);
        let over = ranks.iter().take_while(|(progress, ..)| *progress == 0).count();
        ranks.truncate(over.max(ranks.len() / 4).max(1));
        let mut goes = vec![false; self.groups.len()];
        for (.., number) in ranks {
            if let Some(goes) = goes.get_mut(number) {
                *goes = true;
            }
        }
        let mut goes = goes.into_iter();
        self.groups.retain(|_| goes.next() != Some(true));
        self.place_all(self.slots.len());
    }

    fn place_all(&mut self, length: usize) {
        self.slots.clear();
        self.slots.resize(length, 0);
        (0..self.groups.len()).for_each(|number| self.place(number));
    }

    fn place(&mut self, number: usize) {
        if let Some((at, _)) = self.groups.get(number).and_then(|group| self.slot(group.key))
            && let Some(slot) = self.slots.get_mut(at)
        {
            *slot = u32::try_from(number + 1).unwrap_or(u32::MAX);
        }
    }

    /// Where a group stands or would stand, and what stands there.
    fn slot(&self, key: u64) -> Option<(usize, u32)> {
        let mask = self.slots.len().checked_sub(1)?;
        let mut at = key as usize & mask;
        loop {
            let slot = *self.slots.get(at)?;
            if slot == 0 || self.groups.get(slot as usize - 1).is_some_and(|group| group.key == key) {
                return Some((at, slot));
            }
            at = (at + 1) & mask;
        }
    }
}
