//! NATS: the incident stream as a sink, JetStream as a source of rows and of what people say.

mod connection;
mod events;
mod seen;
mod sink;
mod source;
pub mod testing;
#[cfg(test)]
mod tests;

pub use connection::{API_LEVEL_MIN, NatsConnection, NatsError};
pub use sink::{INCIDENT_BUCKET, INCIDENT_STREAM, NatsSink, NatsSinkConfig};
pub use source::{NatsSource, NatsSourceConfig, Payload};
