//! A node's part of every limit that all nodes keep together.
//!
//! The limits of all nodes are one stretch that the living ones divide among themselves. Each holds a
//! piece of it, and hands over what falls into its piece: of a limit of `N` messages in a time the
//! messages whose numbers lie there. Pieces that do not overlap never add up to more than `N`,
//! however they are rounded. A node takes only what nobody else holds, so that no message is given
//! out twice while nodes come and go; see [`Share::renewed`].

use super::rate::Rate;

/// The length of the stretch: what 1 to 16 nodes divide without rounding.
const LENGTH: u32 = 720_720;

/// A piece of the stretch, from its first point to before its last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    from: u32,
    to: u32,
}

impl Share {
    /// All of every limit.
    pub const WHOLE: Self = Self { from: 0, to: LENGTH };
    /// Nothing of any limit.
    pub const NONE: Self = Self { from: 0, to: 0 };

    /// A piece between two points, as they are stored; nothing where these make no sense.
    #[must_use]
    pub fn stored(from: i64, to: i64) -> Self {
        match (u32::try_from(from), u32::try_from(to)) {
            (Ok(from), Ok(to)) if from < to && to <= LENGTH => Self { from, to },
            _ => Self::NONE,
        }
    }

    /// Its two points, to be stored.
    #[must_use]
    pub fn points(self) -> (i64, i64) {
        (self.from.into(), self.to.into())
    }

    /// Whether it is nothing.
    #[must_use]
    pub fn is_none(self) -> bool {
        self.from >= self.to
    }

    /// Whether all of a piece lies in this one.
    #[must_use]
    pub fn contains(self, other: Self) -> bool {
        other.is_none() || self.from <= other.from && other.to <= self.to
    }

    /// How large a part of the whole it is, from 0 to 1.
    #[must_use]
    pub fn part(self) -> f64 {
        f64::from(self.to.saturating_sub(self.from)) / f64::from(LENGTH)
    }

    /// How much of `count` falls into it.
    #[must_use]
    pub fn of(self, count: u32) -> u32 {
        // Rounded up, so that of a small limit it is the first that has something: who was there before the others.
        let before = |point: u32| (u64::from(count) * u64::from(point)).div_ceil(u64::from(LENGTH));
        u32::try_from(before(self.to.max(self.from)) - before(self.from)).unwrap_or(count)
    }

    /// The part of a rate that falls into it. It may be nothing: a count of zero.
    #[must_use]
    pub fn of_rate(self, rate: Rate) -> Rate {
        Rate { count: self.of(rate.count), per: rate.per }
    }

    /// What a node takes now that is the one at `place`, from 0, of `nodes` that live, where the others
    /// hold these: as much in one piece of what is to be its own as is free. Once all have renewed
    /// theirs, everything is divided equally.
    #[must_use]
    pub fn renewed(place: usize, nodes: usize, others: &[Self]) -> Self {
        let point = |place: usize| (place as u64 * u64::from(LENGTH) / nodes.max(1) as u64) as u32;
        let own = Self { from: point(place), to: point(place + 1) };
        let mut held: Vec<_> = others.iter().filter(|other| other.from < own.to && own.from < other.to).collect();
        held.sort_unstable_by_key(|other| other.from);
        let (mut free, mut from) = (Self::NONE, own.from);
        for other in held {
            free = free.longer(Self { from, to: other.from });
            from = from.max(other.to);
        }
        free.longer(Self { from, to: own.to })
    }

    fn longer(self, other: Self) -> Self {
        if other.to.saturating_sub(other.from) > self.to.saturating_sub(self.from) { other } else { self }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_node_has_everything_and_equal_parts_add_up_to_it() {
        assert_eq!(Share::renewed(0, 1, &[]), Share::WHOLE);
        let rate = Rate { count: 50, per: Duration::from_secs(1) };
        assert_eq!(Share::WHOLE.of_rate(rate), rate);
        let thirds = [0, 1, 2].map(|place| Share::renewed(place, 3, &[]));
        assert_eq!(thirds.map(|share| share.of(50)), [17, 17, 16]);
        assert_eq!(thirds.map(|share| share.of(1)), [1, 0, 0]);
        assert_eq!(Share::NONE.of(u32::MAX), 0);
    }

    #[test]
    fn who_comes_waits_for_what_others_hold_still() {
        let newcomer = Share::renewed(1, 2, &[Share::WHOLE]);
        assert!(newcomer.is_none());
        let first = Share::renewed(0, 2, &[newcomer]);
        assert_eq!(Share::renewed(1, 2, &[first]).part(), 0.5);
        assert_eq!(first.part(), 0.5);
    }

    #[test]
    fn points_that_make_no_sense_are_nothing() {
        for (from, to) in [(-1, 5), (5, 5), (6, 5), (0, i64::from(LENGTH) + 1), (i64::MIN, i64::MAX)] {
            assert!(Share::stored(from, to).is_none(), "{from} {to}");
        }
        let third = Share::renewed(1, 3, &[]);
        assert_eq!(Share::stored(third.points().0, third.points().1), third);
    }

    proptest! {
        /// Nodes come, go and renew their pieces in any order, each by what it knows of who lives.
        #[test]
        fn pieces_never_overlap_and_in_the_end_everything_is_divided(
            steps in prop::collection::vec((0..8_usize, 0..4_u8), 1..80),
            counts in prop::collection::vec(0..2_000_u32, 1..5),
        ) {
            let mut held = [None::<Share>; 8];
            for (node, step) in steps {
                match step {
                    0 => held[node] = None,
                    1 if held[node].is_none() => held[node] = Some(Share::NONE),
                    _ => renew(&mut held, node),
                }
                let shares: Vec<_> = held.iter().flatten().collect();
                for count in &counts {
                    prop_assert!(shares.iter().map(|share| share.of(*count)).sum::<u32>() <= *count);
                }
            }
            // Whoever moves needs the room that others leave: two rounds.
            (0..2).for_each(|_| (0..8).for_each(|node| renew(&mut held, node)));
            let shares: Vec<_> = held.iter().flatten().collect();
            for count in &counts {
                let of_all = shares.iter().map(|share| share.of(*count)).sum::<u32>();
                prop_assert_eq!(of_all, if shares.is_empty() { 0 } else { *count });
            }
        }
    }

    fn renew(held: &mut [Option<Share>], node: usize) {
        if held[node].is_none() {
            return;
        }
        let living: Vec<_> = (0..held.len()).filter(|of| held[*of].is_some()).collect();
        let others: Vec<_> = living.iter().filter(|of| **of != node).filter_map(|of| held[*of]).collect();
        let place = living.iter().position(|of| *of == node).unwrap();
        held[node] = Some(Share::renewed(place, living.len(), &others));
    }
}
