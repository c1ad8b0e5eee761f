//! The server's end of a connection.

mod answer;
mod body;
mod connection;
mod driver;

pub use answer::{Answer, WrongLength};
pub use body::RequestBody;
pub use connection::{Connection, Limits};
pub use driver::{Config, Ended, Patience, serve};
