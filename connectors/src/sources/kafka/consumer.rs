//! The consumer: a group member that commits what the journal has.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{CommitMode, Consumer, StreamConsumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::KafkaSourceConfig;
use super::offsets::Offsets;
use crate::decode::ndjson::NdjsonDecoder;
use crate::intake::{Intake, SourceError, Stop};
use crate::journal::Mark;

/// How long further messages are waited for before those that are there go to the journal.
const GATHER: Duration = Duration::from_millis(20);
/// Pause after the client complained; it connects again by itself.
const RETRY_PAUSE: Duration = Duration::from_secs(1);
/// How long the broker may take to say where a partition ends.
const WATERMARKS_WAIT: Duration = Duration::from_secs(5);

pub(super) async fn run(config: KafkaSourceConfig, intake: Intake, mut stop: Stop) -> Result<(), SourceError> {
    let name = config.name.clone();
    let consumer = open(&config).map_err(|error| SourceError::config(&name, error.to_string()))?;
    let mut reader = Reader {
        offsets: Offsets::restore(intake.cursor(&name).as_deref()),
        decoder: NdjsonDecoder::new(config.rows.clone()),
        taken: TopicPartitionList::new(),
        consumer: Arc::new(consumer),
        config,
    };
    while !stop.is_stopped() {
        if reader.gather(&intake, &mut stop).await == 0 {
            continue;
        }
        let inputs = reader.decoder.signals.take_inputs(&reader.config.tenant);
        let mark = Mark { source: name.clone(), cursor: reader.offsets.cursor() };
        intake.accept(&inputs, Some(mark)).await.map_err(|error| SourceError::accept(&name, error))?;
        let taken = std::mem::take(&mut reader.taken);
        // A commit that is lost brings the messages again, and the cursor knows them.
        if let Err(error) = reader.consumer.commit(&taken, CommitMode::Async) {
            tracing::debug!(source = name, %error, "offsets were not committed");
        }
    }
    Ok(())
}

fn open(config: &KafkaSourceConfig) -> Result<StreamConsumer, KafkaError> {
    let mut client = ClientConfig::new();
    for (property, value) in &config.librdkafka {
        client.set(property, value);
    }
    client
        .set("bootstrap.servers", config.brokers.join(","))
        .set("group.id", &config.group)
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "earliest");
    let consumer: StreamConsumer = client.create()?;
    let topics: Vec<&str> = config.topics.iter().map(String::as_str).collect();
    consumer.subscribe(&topics)?;
    Ok(consumer)
}

struct Reader {
    config: KafkaSourceConfig,
    consumer: Arc<StreamConsumer>,
    offsets: Offsets,
    decoder: NdjsonDecoder,
    /// What is to be committed when the journal has it.
    taken: TopicPartitionList,
}

impl Reader {
    /// Decodes what comes until there are enough messages or none for a moment; returns how
    /// many.
    async fn gather(&mut self, intake: &Intake, stop: &mut Stop) -> usize {
        let consumer = self.consumer.clone();
        let mut count = 0;
        while count < self.config.batch {
            let received = if count == 0 {
                tokio::select! {
                    () = stop.stopped() => break,
                    received = consumer.recv() => received,
                }
            } else {
                match tokio::time::timeout(GATHER, consumer.recv()).await {
                    Ok(received) => received,
                    Err(_) => break,
                }
            };
            match received {
                Ok(message) => {
                    self.take(&message, intake).await;
                    count += 1;
                }
                Err(error) => {
                    tracing::warn!(source = self.config.name, %error, "cannot read from Kafka, trying again");
                    if count > 0 || stop.sleep(RETRY_PAUSE).await {
                        break;
                    }
                }
            }
        }
        count
    }

    async fn take(&mut self, message: &BorrowedMessage<'_>, intake: &Intake) {
        let (topic, partition, offset) = (message.topic(), message.partition(), message.offset());
        if self.offsets.next(topic, partition).is_some_and(|next| offset < next) {
            self.forget_a_topic_made_anew(topic, partition).await;
        }
        let to_commit = Offset::Offset(offset.saturating_add(1));
        let noted = match self.taken.find_partition(topic, partition) {
            Some(mut known) => known.set_offset(to_commit),
            None => self.taken.add_partition_offset(topic, partition, to_commit),
        };
        if let Err(error) = noted {
            tracing::debug!(source = self.config.name, %error, "an offset cannot be committed");
        }
        if !self.offsets.take(topic, partition, offset) {
            return;
        }
        for line in message.payload().unwrap_or_default().split(|byte| *byte == b'\n') {
            if let Err(bad) = self.decoder.line(line) {
                let place = format!("{topic}/{partition}");
                let number = u64::try_from(offset).unwrap_or_default();
                intake.reject(&bad.at(&self.config.name, &place, number, line));
            }
        }
    }

    /// A partition that ends before our offset is not the one we read.
    async fn forget_a_topic_made_anew(&mut self, topic: &str, partition: i32) {
        let (consumer, asked) = (self.consumer.clone(), topic.to_owned());
        let ask = move || consumer.fetch_watermarks(&asked, partition, WATERMARKS_WAIT);
        let end = match tokio::task::spawn_blocking(ask).await {
            Ok(Ok((_, end))) => end,
            _ => return,
        };
        if self.offsets.next(topic, partition).is_some_and(|next| end < next) {
            tracing::warn!(
                source = self.config.name,
                topic,
                partition,
                end,
                "the topic was made anew, read from its start"
            );
            self.offsets.forget(topic, partition);
        }
    }
}
