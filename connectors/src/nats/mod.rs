//! What the NATS sink and the NATS source share: one way to connect.

mod connection;
pub mod testing;
#[cfg(test)]
mod tests;

pub use connection::{NatsConnection, NatsError};
