//! Floor 1: the words of the house as types and pure functions.
//!
//! No runtime, no database, no network, no clock: what a function needs comes in as an argument.

pub mod action;
pub mod address;
pub mod alignment;
pub mod attribute;
pub mod campaign;
pub mod cluster;
pub mod consent;
pub mod dkim;
pub mod group;
pub mod handout;
pub mod hindrance;
pub mod hit;
pub mod hours;
pub mod id;
pub mod judge;
pub mod language;
pub mod ledger;
pub mod mail_path;
pub mod media;
pub mod message;
pub mod network;
pub mod notice;
pub mod occasion;
pub mod outcome;
pub mod pace;
pub mod profile;
pub mod project;
pub mod rate;
pub mod recurrence;
pub mod relay;
pub mod resend;
pub mod retention;
pub mod retry;
pub mod rule_list;
pub mod run;
pub mod score;
pub mod segment;
pub mod slowing;
pub mod suppression;
pub mod time;
pub mod token;
pub mod warm_up;
pub mod waves;
pub mod wording;
