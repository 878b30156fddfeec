//! The order in which a recipient sees a campaign's offers.
//!
//! By the recipient's share of the offer's category, the highest first, equal shares in the file's
//! order. Each slot is, with the probability `explore`, filled by a random remaining offer instead,
//! so that profiles can sharpen. The draw is seeded by (campaign, occasion, recipient): a plan shows
//! what is sent. No offer comes twice.

use crate::domain::campaign::Offers;
use crate::domain::id::RecipientId;
use crate::domain::profile::Profile;

/// The offers' indices in the recipient's order.
pub(super) fn order(offers: &Offers, profile: &Profile, seed: u64) -> Vec<u16> {
    let shares: Vec<f64> = offers.items.iter().map(|item| profile.affinity(&item.category)).collect();
    let mut by_share: Vec<u16> = (0..u16::try_from(shares.len()).unwrap_or(u16::MAX)).collect();
    by_share.sort_by(|a, b| shares[usize::from(*b)].total_cmp(&shares[usize::from(*a)]));
    if offers.explore <= 0.0 {
        return by_share;
    }
    let mut draw = Draw(seed);
    let mut rest = by_share.as_slice().to_vec();
    for slot in &mut by_share {
        let explores = rest.len() > 1 && draw.unit() < offers.explore;
        let from = if explores { draw.below(rest.len()) } else { 0 };
        *slot = rest.remove(from);
    }
    by_share
}

/// The seed of a recipient's draw (FNV-1a): stable over versions, since plans and sends of
/// different processes must agree.
pub(super) fn seed(campaign: &str, occasion: &str, recipient: RecipientId) -> u64 {
    let id = recipient.0.to_le_bytes();
    let parts = [campaign.as_bytes(), b"\0", occasion.as_bytes(), b"\0", &id];
    parts
        .iter()
        .copied()
        .flatten()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

/// `SplitMix64` (Steele, Lea, Flood 2014).
struct Draw(u64);

impl Draw {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// In [0, 1).
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from((u128::from(self.next()) * limit as u128) >> 64).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::testing;

    fn categories(explore: f64, seed: u64) -> Vec<u16> {
        let mut offers = testing::campaign().offers;
        offers.explore = explore;
        order(&offers, &testing::profile(), seed)
    }

    #[test]
    fn the_highest_share_comes_first_and_ties_keep_the_files_order() {
        assert_eq!(categories(0.0, 1), [1, 3, 0, 2]);
    }

    #[test]
    fn exploring_changes_the_order_by_seed_alone_and_never_repeats_an_offer() {
        let orders: Vec<_> = (0..2_000).map(|seed| categories(0.2, seed)).collect();
        assert_eq!(orders, (0..2_000).map(|seed| categories(0.2, seed)).collect::<Vec<_>>());
        for order in &orders {
            let mut sorted = order.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, [0, 1, 2, 3]);
        }
        let led_by_another = orders.iter().filter(|o| o[0] != 1).count();
        assert!((200..400).contains(&led_by_another), "{led_by_another} of 2000, expected 0.2 · 3/4");
    }

    #[test]
    fn the_seed_tells_campaign_occasion_and_recipient_apart() {
        let one = seed("ab", "c", RecipientId(1));
        assert_eq!(one, seed("ab", "c", RecipientId(1)));
        for other in [seed("a", "bc", RecipientId(1)), seed("ab", "d", RecipientId(1)), seed("ab", "c", RecipientId(2))]
        {
            assert_ne!(one, other);
        }
    }
}
