//! The configuration: golden files, and what golden files cannot show.

mod golden;
mod load;
mod settings;
