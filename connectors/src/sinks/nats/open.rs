//! Stream and bucket: created, or checked where somebody else has made them.

use std::time::Duration;

use async_nats::jetstream::Context;
use async_nats::jetstream::kv::{self, Store};
use async_nats::jetstream::stream::{Config as StreamConfig, DiscardPolicy, RetentionPolicy, StorageType, Stream};

use super::{INCIDENT_BUCKET, INCIDENT_STREAM, INCIDENT_SUBJECTS, NatsSinkConfig, OUTBOX_BUCKET};
use crate::nats::NatsError;

/// Duplicate window of a stream we create: JetStream's default, longer than any retry pause.
const DUPLICATE_WINDOW: Duration = Duration::from_secs(120);
/// Shortest duplicate window of a stream we find: twice the longest retry pause.
const DUPLICATE_WINDOW_MIN: Duration = Duration::from_secs(10);

pub(super) async fn ensure_stream(context: &Context, config: &NatsSinkConfig) -> Result<Stream, NatsError> {
    let wanted = StreamConfig {
        name: INCIDENT_STREAM.to_owned(),
        description: Some("Incidents, one message a revision".to_owned()),
        subjects: vec![INCIDENT_SUBJECTS.to_owned()],
        retention: RetentionPolicy::Limits,
        discard: DiscardPolicy::Old,
        storage: StorageType::File,
        num_replicas: config.replicas,
        max_age: Duration::from_nanos(config.retain_age.0.max(0) as u64),
        duplicate_window: DUPLICATE_WINDOW,
        allow_direct: true,
        ..StreamConfig::default()
    };
    let stream =
        context.get_or_create_stream(wanted).await.map_err(|e| NatsError::request("create the incident stream", e))?;
    check_stream(&stream.cached_info().config)?;
    Ok(stream)
}

/// What a stream somebody else made must have. Ages, sizes and copies are the operator's.
fn check_stream(config: &StreamConfig) -> Result<(), NatsError> {
    let wrong = |setting, have: String, want: &str, remedy| NatsError::Setting {
        what: "stream",
        name: config.name.clone(),
        setting,
        have,
        want: want.to_owned(),
        remedy,
    };
    if !config.subjects.iter().any(|s| s == INCIDENT_SUBJECTS) {
        let have = config.subjects.join(", ");
        return Err(wrong("subjects", have, INCIDENT_SUBJECTS, "add the subject with `nats stream edit`"));
    }
    if config.retention != RetentionPolicy::Limits {
        let have = format!("{:?}", config.retention).to_lowercase();
        return Err(wrong(
            "retention",
            have,
            "limits",
            "a queue would forget what was published: move the stream aside",
        ));
    }
    if config.storage != StorageType::File {
        return Err(wrong(
            "storage",
            "memory".to_owned(),
            "file",
            "incidents would not survive the server: move the stream aside",
        ));
    }
    if config.no_ack {
        return Err(wrong("no_ack", "true".to_owned(), "false", "nothing would be acknowledged: edit the stream"));
    }
    if config.duplicate_window < DUPLICATE_WINDOW_MIN {
        let have = format!("{:?}", config.duplicate_window);
        return Err(wrong("duplicate_window", have, "at least 10s", "edit the stream"));
    }
    Ok(())
}

/// A bucket that the sink needs.
pub(super) struct Bucket {
    name: &'static str,
    description: &'static str,
}

/// That of the incidents.
pub(super) const INCIDENTS: Bucket =
    Bucket { name: INCIDENT_BUCKET, description: "The latest record of each incident" };
/// That of the settled sequences.
pub(super) const MARKS: Bucket =
    Bucket { name: OUTBOX_BUCKET, description: "How much of the incident stream is in the bucket of incidents" };

pub(super) async fn ensure_bucket(
    context: &Context,
    config: &NatsSinkConfig,
    Bucket { name, description }: &Bucket,
) -> Result<Store, NatsError> {
    if let Ok(bucket) = context.get_key_value(*name).await {
        let stream = &bucket.stream.cached_info().config;
        let wrong = |setting, have: String, want: &str, remedy| NatsError::Setting {
            what: "bucket",
            name: (*name).to_owned(),
            setting,
            have,
            want: want.to_owned(),
            remedy,
        };
        if stream.storage != StorageType::File {
            return Err(wrong(
                "storage",
                "memory".to_owned(),
                "file",
                "what was delivered would be forgotten: delete the bucket, it is rebuilt from the stream",
            ));
        }
        if !stream.max_age.is_zero() && stream.max_age < Duration::from_secs(24 * 3600) {
            return Err(wrong(
                "ttl",
                format!("{:?}", stream.max_age),
                "none, or at least 24h",
                "what was delivered would be forgotten: edit the bucket",
            ));
        }
        return Ok(bucket);
    }
    context
        .create_key_value(kv::Config {
            bucket: (*name).to_owned(),
            description: (*description).to_owned(),
            history: 1,
            storage: StorageType::File,
            num_replicas: config.replicas,
            ..kv::Config::default()
        })
        .await
        .map_err(|e| NatsError::request("create the incident bucket", e))
}
