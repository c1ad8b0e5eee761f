//! The audit record's two halves.
//!
//! The [`Witness`](WitnessLayer) stands outermost: it opens the record and commits it when the
//! answer's body ends or is dropped, so what any inner layer refused is recorded too. The
//! [`Observer`](ObserverLayer) stands innermost: it writes down what is about to be done before it
//! is ([`Intents`]), sees what the server answered, in plain JSON and in event streams, and notes
//! the outcome of each call in the [`Exchange`].
//!
//! [`Exchange`]: crate::Exchange

mod aggregate;
mod intent;
mod keep;
mod observer;
mod recorder;
mod rules;
mod witness;

pub use aggregate::{Aggregate, Summary};
pub use intent::{Intents, WriteAhead};
pub use observer::{ObservedBody, ObserverFuture, ObserverLayer, ObserverService};
pub use recorder::{Fail, Recorder};
pub use rules::{Level, Rule, Rules};
pub use witness::{WitnessBody, WitnessFuture, WitnessLayer, WitnessService};
