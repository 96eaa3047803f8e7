//! What the page costs: its first page and its list with very many open incidents, and what it knows of them.
//!
//! `cargo bench --bench page` prints one table; `BELLWETHER_BENCH_INCIDENTS` (default 10,000) says how many are open. Each
//! has 12 entities, 20 alerts and 30 pieces of evidence, about what a fault in an estate of services has. A page is rendered
//! and packed as a browser gets it.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bellwether::page::Page;
use bellwether::wiring::gauges::Gauges;
use bellwether::wiring::memory::MemoryJournal;
use bellwether_connectors::server::auth::{Auth, AuthConfig};
use bellwether_connectors::server::http::{Guest, Visit};
use bellwether_connectors::{Intake, RejectLog};
use bellwether_engine::incident::{IncidentEvent, Verb, incident_id};
use bellwether_engine::time::{EventTime, Span};
use bellwether_engine::{Engine, EngineConfig};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method};
use serde_json::json;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Times each page is asked for.
const ROUNDS: usize = 20;

/// The first revision of an incident.
fn opened(number: u64) -> IncidentEvent {
    let at = EventTime::from_secs(1_772_359_200).plus(Span::from_secs(number as i64));
    let id = incident_id("acme", number, at);
    let entities: Vec<_> = (0..12)
        .map(|n| json!({"id": format!("service:checkout-{number}-{n}"), "type": "service", "role": "affected"}))
        .collect();
    let alerts: Vec<_> = (0..20)
        .map(|n| {
            json!({"fingerprint": format!("{:016x}", number * 100 + n), "source": "prometheus", "name": "HighErrorRate",
                "status": "firing", "starts_at": at, "labels": {"service": format!("checkout-{number}-{n}"), "severity": "page"},
                "annotations": {"summary": format!("checkout-{number}-{n} fails {n} % of its requests")}})
        })
        .collect();
    let evidence: Vec<_> = (0..30)
        .map(|n| {
            json!({"signal": "metric", "at": at, "name": "http.server.error.ratio", "entity_id": format!("service:checkout-{number}-{n}"),
                "value": 0.05, "expected": 0.001, "score": 0.9, "detector": "anomaly",
                "text": format!("http.server.error.ratio on service:checkout-{number}-{n}: 0.0553 is far above the expected 0.0012")})
        })
        .collect();
    let record = json!({
        "schema_version": "1", "id": id, "dedup_key": format!("acme/{number}"), "revision": 1, "status": "open",
        "severity": "critical", "priority": format!("P{}", 1 + number % 5), "confidence": 0.9,
        "title": format!("Change CHG{number} on checkout-{number}: 12 entities in trouble"),
        "summary": "At 09:00:14 UTC it was the first to show trouble.", "opened_at": at, "updated_at": at,
        "entities": entities, "alerts": alerts, "evidence": evidence, "alert_count": 400,
        "owner": {"team": "database"}, "labels": {"impact.business_services": "online-shop, click-and-collect"},
    });
    let record = serde_json::from_value(record).expect("a record");
    IncidentEvent { tenant: "acme".into(), verb: Verb::Opened, record }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

#[allow(clippy::print_stdout)] // a bench's report goes to stdout
fn main() {
    let quick = std::env::args().any(|a| a == "--test") || !std::env::args().any(|a| a == "--bench");
    let incidents = match std::env::var("BELLWETHER_BENCH_INCIDENTS").map(|s| s.parse()) {
        Ok(Ok(incidents)) => incidents,
        _ if quick => 200,
        _ => 10_000,
    };
    let engine = Engine::new(EngineConfig::default(), NonZeroUsize::MIN).expect("the settings are sound");
    let page = Page::finished(engine, Arc::new(Gauges::default()), "a bench".to_owned());
    let began = Instant::now();
    let mut last = String::new();
    for number in 0..incidents {
        let event = opened(number);
        last.clone_from(&event.record.id);
        page.take([&event]);
    }
    println!(
        "{incidents} open incidents taken in within {:.1?}; they take {:.1} MiB",
        began.elapsed(),
        page.bytes() as f64 / f64::from(1 << 20)
    );
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let auth = Auth::new(&AuthConfig::default()).expect("no credentials");
    let intake = Intake::new(Arc::new(MemoryJournal::default()), RejectLog::counting());
    let mut headers = HeaderMap::new();
    headers.insert("host", HeaderValue::from_static("localhost"));
    headers.insert("accept-encoding", HeaderValue::from_static("gzip"));
    println!("{:30} {:>10} {:>12}", "page", "ms", "KiB packed");
    let incident = format!("/page/incidents/{last}");
    for (path, query) in
        [("/page", ""), ("/page/incidents", ""), ("/page/incidents", "q=checkout-17&status=live"), (&incident, "")]
    {
        let mut times = Vec::new();
        let mut bytes = 0;
        for _ in 0..if quick { 2 } else { ROUNDS } {
            let visit = Visit {
                method: &Method::GET,
                path,
                query,
                headers: &headers,
                body: Bytes::new(),
                address: Some([127, 0, 0, 1].into()),
                shown: None,
                auth: &auth,
                intake: &intake,
            };
            let began = Instant::now();
            let served = runtime.block_on(page.answer(visit));
            times.push(began.elapsed());
            assert_eq!(served.reply.status, 200, "{path}");
            bytes = served.reply.body.len();
        }
        let name = if path == incident { "an incident" } else { path };
        println!(
            "{:30} {:>10.2} {:>12.1}",
            format!("{name} {query}"),
            median(times).as_secs_f64() * 1e3,
            bytes as f64 / 1024.0
        );
    }
}
