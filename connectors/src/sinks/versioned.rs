//! A sink whose receiver reads an older version of the record.

use std::sync::Arc;

use bellwether_engine::incident::{IncidentEvent, SchemaVersion, in_version};
use futures::future::BoxFuture;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Delivered, Outgoing, Sink, SinkError};

/// Which version of the incident record a receiver reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct RecordVersion(SchemaVersion);

impl JsonSchema for RecordVersion {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "RecordVersion".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "integer", "enum": [1, 2]})
    }
}

impl TryFrom<u8> for RecordVersion {
    type Error = String;

    fn try_from(number: u8) -> Result<RecordVersion, String> {
        let known = SchemaVersion::ALL.into_iter().find(|version| version.name() == number.to_string());
        known.map(RecordVersion).ok_or_else(|| format!("there is no version {number} of the record: give 1 or 2"))
    }
}

impl From<RecordVersion> for u8 {
    fn from(version: RecordVersion) -> u8 {
        match version.0 {
            SchemaVersion::V1 => 1,
            SchemaVersion::V2 => 2,
        }
    }
}

impl RecordVersion {
    /// `sink` with its records in this version.
    pub(super) fn of(self, sink: Box<dyn Sink>) -> Box<dyn Sink> {
        match self.0 {
            SchemaVersion::V2 => sink,
            version => Box::new(Versioned { version, sink }),
        }
    }
}

/// A sink that is given an older version.
struct Versioned {
    version: SchemaVersion,
    sink: Box<dyn Sink>,
}

impl Sink for Versioned {
    fn name(&self) -> &str {
        self.sink.name()
    }

    fn deliver<'a>(&'a mut self, events: &'a [Outgoing]) -> BoxFuture<'a, Result<Delivered, SinkError>> {
        let older = |outgoing: &Outgoing| {
            let IncidentEvent { tenant, verb, record } = &*outgoing.event;
            let record = in_version(record.clone(), self.version);
            let event = Arc::new(IncidentEvent { tenant: tenant.clone(), verb: *verb, record });
            Outgoing { position: outgoing.position, event }
        };
        let older: Vec<Outgoing> = events.iter().map(older).collect();
        Box::pin(async move { self.sink.deliver(&older).await })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::sinks::tests::event;

    struct Kept(Arc<Mutex<Vec<SchemaVersion>>>);

    impl Sink for Kept {
        fn name(&self) -> &str {
            "kept"
        }

        fn deliver<'a>(&'a mut self, events: &'a [Outgoing]) -> BoxFuture<'a, Result<Delivered, SinkError>> {
            let versions = events.iter().map(|outgoing| outgoing.event.record.schema_version);
            self.0.lock().expect("nobody panicked").extend(versions);
            Box::pin(async { Ok(Delivered::default()) })
        }
    }

    #[tokio::test]
    async fn a_receiver_gets_the_version_it_reads() {
        for (number, given) in [("1", SchemaVersion::V1), ("2", SchemaVersion::V2)] {
            let kept = Arc::new(Mutex::new(Vec::new()));
            let version: RecordVersion = serde_json::from_str(number).expect("a version");
            let mut sink = version.of(Box::new(Kept(kept.clone())));
            sink.deliver(&[event("acme", 1, 1)]).await.expect("it takes them");
            assert_eq!((sink.name(), kept.lock().expect("nobody panicked").as_slice()), ("kept", &[given][..]));
        }
        assert_eq!(serde_json::to_string(&RecordVersion::default()).expect("JSON"), "2");
        assert!(serde_json::from_str::<RecordVersion>("3").expect_err("none").to_string().contains("give 1 or 2"));
    }
}
