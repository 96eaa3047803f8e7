//! The source against librdkafka's own mock cluster.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bellwether_engine::input::Input;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{DefaultProducerContext, FutureProducer, FutureRecord};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::*;
use crate::intake::reject::RejectLog;
use crate::intake::{Stopper, stop_pair};
use crate::journal::{Journal, JournalConfig, LocalJournal, Position};
use crate::server::testing::Shelf;

const TOPIC: &str = "telemetry";

struct Broker {
    cluster: MockCluster<'static, DefaultProducerContext>,
}

impl Broker {
    fn start() -> Broker {
        let cluster = MockCluster::new(1).expect("a broker");
        cluster.create_topic(TOPIC, 2, 1).expect("a topic");
        Broker { cluster }
    }

    /// Sends rows `from..to` over both partitions, and one that is none.
    async fn send(&self, from: i32, to: i32) {
        let producer: FutureProducer = ClientConfig::new()
            .set("bootstrap.servers", self.cluster.bootstrap_servers())
            .create()
            .expect("a producer");
        for n in from..to {
            let row = format!(
                "{{\"time\":\"2026-03-01T00:00:00Z\",\"name\":\"cpu\",\"entity\":\"host:h{n}\",\"value\":{n}}}\nno row\n"
            );
            let record = FutureRecord::<(), String>::to(TOPIC).partition(n % 2).payload(&row);
            producer.send(record, Duration::from_secs(10)).await.expect("delivered");
        }
    }

    fn config(&self, group: &str) -> KafkaSourceConfig {
        let text = format!(
            "{{name: k, brokers: ['{}'], group: {group}, topics: [{TOPIC}], tenant: acme, rows: {{signal: metric}}}}",
            self.cluster.bootstrap_servers()
        );
        serde_saphyr::from_str(&text).expect("reads")
    }

    /// The offsets `group` has committed.
    fn committed(&self, group: &str) -> i64 {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", self.cluster.bootstrap_servers())
            .set("group.id", group)
            .create()
            .expect("a consumer");
        let mut partitions = TopicPartitionList::new();
        for partition in 0..2 {
            partitions.add_partition(TOPIC, partition);
        }
        let committed = consumer.committed_offsets(partitions, Duration::from_secs(10)).expect("an answer");
        let number = |offset| if let Offset::Offset(next) = offset { next } else { 0 };
        committed.elements().iter().map(|partition| number(partition.offset())).sum()
    }
}

type Running = tokio::task::JoinHandle<Result<(), SourceError>>;

fn start(config: KafkaSourceConfig, intake: &Intake) -> (Running, Stopper) {
    let (stopper, stop) = stop_pair();
    let source = Box::new(KafkaSource::new(config).expect("config is good"));
    (tokio::spawn(source.run(intake.clone(), stop)), stopper)
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..300 {
        if tokio::task::block_in_place(&mut holds) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("not within half a minute: {what}");
}

fn metrics(inputs: &[Input]) -> usize {
    let is_metric =
        |input: &&Input| matches!(input, Input::Batch(b) if b.kind() == bellwether_engine::signal::SignalKind::Metric);
    inputs.iter().filter(is_metric).map(Input::rows).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offset_is_committed_when_the_journal_has_it() {
    let broker = Broker::start();
    broker.send(0, 10).await;
    let (shelf, intake) = Shelf::with_intake();
    shelf.full.store(true, Ordering::Relaxed);
    let (running, stopper) = start(broker.config("g"), &intake);
    until("the journal refuses", || !intake.is_accepting()).await;
    assert_eq!(broker.committed("g"), 0, "nothing is stored, nothing committed");
    shelf.full.store(false, Ordering::Relaxed);
    until("the commit", || broker.committed("g") == 10).await;
    assert_eq!(metrics(&shelf.entries()), 10);
    stopper.stop();
    running.await.expect("no panic").expect("a good end");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_again_after_a_restart_is_recognised_by_the_cursor() {
    let broker = Broker::start();
    let dir = tempfile::tempdir().expect("a folder");
    for (run, group) in ["first", "another", "first"].into_iter().enumerate() {
        let sent = 10 * (run as i32 + 1);
        broker.send(sent - 10, sent).await;
        let (journal, _) = LocalJournal::open(&JournalConfig::new(dir.path())).expect("opens");
        let journal = Arc::new(journal);
        let intake = Intake::new(journal.clone(), RejectLog::counting());
        // A group that has committed nothing gets all from the start, as after lost commits.
        let (running, stopper) = start(broker.config(group), &intake);
        until("the commit", || broker.committed(group) == i64::from(sent)).await;
        stopper.stop();
        running.await.expect("no panic").expect("a good end");
        let mut reader = journal.read(Position::START).expect("a reader");
        let mut inputs = Vec::new();
        while let Some(entry) = reader.next_entry().expect("an entry") {
            inputs.push(Input::decode(&entry.bytes).expect("decodes"));
        }
        assert_eq!(metrics(&inputs), sent as usize, "each row once");
    }
}

#[test]
fn a_configuration_that_contradicts_itself_is_refused() {
    let good = "name: k, brokers: [b], topics: [t], tenant: acme";
    let refused = |more: &str| {
        let config: KafkaSourceConfig = serde_saphyr::from_str(&format!("{{{good}{more}}}")).expect("reads");
        KafkaSource::new(config).err().map(|error| error.to_string())
    };
    assert_eq!(refused(""), None);
    assert!(refused(", librdkafka: {group.id: x}").expect("refused").contains("librdkafka.group.id"));
    assert!(refused(", batch: 0").is_some());
}
