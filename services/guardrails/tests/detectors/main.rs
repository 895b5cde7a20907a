//! What each detector finds and, as much, what it leaves alone.

#![allow(clippy::unwrap_used, reason = "tests")]

mod contact;
mod dates;
mod documents;
mod europe;
mod finance;
mod health;
mod hostile;
mod mutation;
mod network;
mod noise;
mod secrets;
mod support;
mod united_states;
mod world;
