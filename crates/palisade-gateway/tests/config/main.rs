//! The configuration: golden files, and what golden files cannot show.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod golden;
mod load;
mod settings;
