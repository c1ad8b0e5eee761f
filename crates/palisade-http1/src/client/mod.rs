//! The client's end of a connection.

mod body;
mod connection;
mod request;
mod response;

pub use body::ResponseBody;
pub use connection::{Connection, SendError};
pub use request::Outgoing;
pub use response::{ResponseHead, Responses};
