//! `[[relay]]` and what stands below it.

use super::*;

#[test]
fn a_relay_says_after_which_quiet_time_it_goes_faster_again() {
    let with = |more: &str| format!("{PROJECT}\n[relay.slow_down]\n{more}\n");
    let relay = |text: &str| taken(text, CAMPAIGN).settings.relays.remove(0);
    assert_eq!(relay(PROJECT).slow_down_quiet, Duration::from_secs(60));
    assert_eq!(relay(&with("quiet = \"5m\"")).slow_down_quiet, Duration::from_secs(300));
}
