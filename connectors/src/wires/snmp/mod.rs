//! SNMP v2c notifications over UDP: traps, and informs, which are answered.
//!
//! ```yaml
//! snmp:
//!   listen: 127.0.0.1:9162
//!   communities: [plant]           # any when the list is empty
//!   others: log                    # traps no rule speaks of
//!   rules:                         # before the built-in ones
//!     - trap: 1.3.6.1.4.1.9.9.43.2.0.1
//!       name: ciscoConfigManEvent
//!       meaning: change
//! ```
//!
//! linkDown and linkUp of one interface are one alert that fires and recovers; a restart is a
//! change; what is not known is a log line ([`rules`] has the list). The entity is the device:
//! the address the trap names (snmpTrapAddress, which relays add) or else the sender's. An
//! inform is answered when it is in the journal, and one that comes again is only answered.
//! Tenants come from `auth.networks`. Reference: RFC 3416, RFC 3418.

mod ber;
pub mod rules;

use std::net::SocketAddr;
use std::sync::Arc;

use bellwether_engine::input::Input;
use bellwether_engine::signal::{
    AlertRow, AlertStatus, ChangeBuilder, ChangeRow, LABELS_MAX, LogRow, Severity, alert_fingerprint, sorted_labels,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use subtle::{Choice, ConstantTimeEq};
use xxhash_rust::xxh3::xxh3_128;

use crate::journal::receipts::Claim;
use crate::resolve::entity_resolution::EntityResolver;
use crate::server::listener::{Endpoint, Transport};
use crate::server::packets::{Datagrams, Gathered, Packet, PacketWire};
use crate::wires::declare::{Door, WireConfig, WireRow};
use ber::{Broken, INTEGER, OBJECT, OCTETS, SEQUENCE, element, expect, integer, object, shown};
use rules::{Meaning, TrapRule, below, built_in, is_object, name_of};

/// SNMPv2-Trap-PDU, InformRequest-PDU and Response-PDU.
const TRAP: u8 = 0xa7;
const INFORM: u8 = 0xa6;
const RESPONSE: u8 = 0xa2;
/// `version` of v2c.
const V2C: i64 = 1;

const TRAP_OBJECT: &str = "1.3.6.1.6.3.1.1.4.1.0";
const UPTIME: &str = "1.3.6.1.2.1.1.3.0";
const TRAP_ADDRESS: &str = "1.3.6.1.6.3.18.1.3.0";

/// Objects of one notification at most; a datagram could hold thousands of empty ones.
const OBJECTS_MAX: usize = 256;

/// Where notifications are received, and what they mean.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SnmpConfig {
    /// Address and port; 162 is the standard's and needs privileges.
    pub listen: SocketAddr,
    /// Communities taken; any when empty.
    pub communities: Vec<String>,
    /// What a trap becomes that no rule speaks of.
    pub others: Meaning,
    /// Further rules; the first that holds decides, the built-in ones come last.
    pub rules: Vec<TrapRule>,
}

impl Default for SnmpConfig {
    fn default() -> SnmpConfig {
        SnmpConfig {
            listen: SocketAddr::from(([127, 0, 0, 1], 9162)),
            communities: Vec::new(),
            others: Meaning::Log,
            rules: Vec::new(),
        }
    }
}

impl WireConfig for SnmpConfig {
    fn doors(&self) -> Vec<Door<'_>> {
        let endpoint = Endpoint {
            name: "snmp",
            protocol: "SNMP",
            key: "listen",
            transport: Transport::Udp,
            address: self.listen,
            tls: None,
            asks_for_secret: false,
        };
        vec![Door::own(endpoint, |shared| {
            let wire = Arc::new(Snmp::new(self, shared.resolver.clone())?);
            Ok(Datagrams::new("snmp", self.listen, wire, shared.auth.clone()).listening())
        })]
    }

    fn rows() -> &'static [WireRow] {
        &[WireRow {
            wire: "SNMP v2c traps and informs (`src/wires/snmp`)",
            at: "UDP 162",
            answers: "an inform when stored; a trap is lost and counted when full",
            again: "informs",
            peer: "snmptrap, snmpinform 5.9",
        }]
    }
}

/// A rule that can never hold.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{text}` of the SNMP rule `{rule}` is no object identifier: write it in numbers, `1.3.6.1.6.3.1.1.5.3`")]
pub struct SnmpError {
    text: String,
    rule: String,
}

/// The wire.
pub struct Snmp {
    communities: Vec<String>,
    others: Meaning,
    rules: Vec<TrapRule>,
    resolver: Arc<EntityResolver>,
}

/// An object's identifier with its value as text.
type Object = (String, String);

/// One notification, read.
struct Notification {
    community: Vec<u8>,
    is_inform: bool,
    /// Where its PDU's tag stands in the datagram.
    tag_at: usize,
    trap: String,
    /// The other objects with their values.
    objects: Vec<Object>,
    /// How many objects could not be read.
    broken: u64,
}

impl Snmp {
    /// A wire that names devices by `resolver`.
    ///
    /// # Errors
    /// [`SnmpError`] for a rule whose identifiers cannot be read.
    pub fn new(config: &SnmpConfig, resolver: Arc<EntityResolver>) -> Result<Snmp, SnmpError> {
        for rule in &config.rules {
            let wrong = std::iter::once(&rule.trap).chain(&rule.objects).find(|text| !is_object(text));
            if let Some(text) = wrong {
                return Err(SnmpError { text: text.clone(), rule: rule.name.clone() });
            }
        }
        let rules = config.rules.iter().cloned().chain(built_in()).collect();
        let communities = config.communities.clone();
        Ok(Snmp { communities, others: config.others, rules, resolver })
    }

    /// Whether the community is one of ours; every one is looked at.
    fn is_known(&self, community: &[u8]) -> bool {
        let equal = |known: &String| known.as_bytes().ct_eq(community);
        let found = self.communities.iter().fold(Choice::from(0), |found, known| found | equal(known));
        self.communities.is_empty() || bool::from(found)
    }

    fn take(&self, notification: &Notification, packet: &Packet<'_>, out: &mut Gathered) {
        let objects = &notification.objects;
        // Agents that do not know their address put zeros there.
        let named = |(object, address): &&Object| object == TRAP_ADDRESS && address != "0.0.0.0";
        let spoken = objects.iter().find(named).map(|(_, address)| address.clone());
        let entity = self.resolver.host(&spoken.unwrap_or_else(|| packet.from.to_string()));
        let rule = self.rules.iter().find(|rule| rule.holds(&notification.trap));
        let other;
        let rule = match rule {
            Some(rule) => rule,
            None => {
                let (trap, name) = (notification.trap.clone(), format!("trap {}", notification.trap));
                let (alert, severity) = (None, Severity::default());
                other = TrapRule { trap, name, meaning: self.others, alert, severity, objects: Vec::new() };
                &other
            }
        };
        let about = objects.iter().filter(|(object, _)| object != UPTIME && object != TRAP_ADDRESS);
        let details: Vec<(&str, &str)> = about.map(|(object, value)| (name_of(object), value.as_str())).collect();
        let mut details = sorted_labels(details);
        details.truncate(LABELS_MAX);
        if notification.broken > 0 {
            out.refused.add("object", notification.broken);
        }
        match rule.meaning.status() {
            Some(status) => alert(rule, status, &entity, notification, &details, packet, out),
            None if rule.meaning == Meaning::Change => change(rule, &entity, &details, packet, out),
            None => log(rule, &entity, notification, &details, packet, out),
        }
        out.events += 1;
    }
}

impl PacketWire for Snmp {
    fn read(&self, packet: Packet<'_>, out: &mut Gathered) -> Result<Option<Vec<u8>>, &'static str> {
        let notification = notification(packet.bytes)?;
        if !self.is_known(&notification.community) {
            return Err("community");
        }
        let reply = notification.is_inform.then(|| response(packet.bytes, notification.tag_at));
        let key = || xxh3_128(&[packet.tenant.as_bytes(), packet.from.to_string().as_bytes(), packet.bytes].concat());
        let claim = if notification.is_inform { out.claim(key()) } else { Claim::Ours };
        match claim {
            Claim::Ours => self.take(&notification, &packet, out),
            Claim::Taken => {}
            // Not answered, so it comes again.
            Claim::Busy => return Err("busy"),
        }
        Ok(reply)
    }
}

/// Reads a datagram.
fn notification(bytes: &[u8]) -> Result<Notification, &'static str> {
    let broken = |Broken| "malformed";
    let mut message = expect(&mut &*bytes, SEQUENCE).map_err(broken)?;
    let version = expect(&mut message, INTEGER).and_then(integer).map_err(broken)?;
    if version != V2C {
        return Err("version");
    }
    let community = expect(&mut message, OCTETS).map_err(broken)?.to_vec();
    let tag_at = offset(bytes, message);
    let (tag, mut pdu) = element(&mut message).map_err(broken)?;
    if tag != TRAP && tag != INFORM {
        return Err("no_notification");
    }
    for _ in ["request-id", "error-status", "error-index"] {
        expect(&mut pdu, INTEGER).and_then(integer).map_err(broken)?;
    }
    let list = expect(&mut pdu, SEQUENCE).map_err(broken)?;
    let (trap, objects, broken) = bindings(list);
    let trap = trap.ok_or(if broken > 0 { "malformed" } else { "no_trap_object" })?;
    Ok(Notification { community, is_inform: tag == INFORM, tag_at, trap, objects, broken })
}

/// Where `part` begins in `whole`, of which it is a part.
fn offset(whole: &[u8], part: &[u8]) -> usize {
    part.as_ptr() as usize - whole.as_ptr() as usize
}

/// The trap's identifier, the other objects that have a value, and how many could not be read: devices
/// send odd ones (an address of no bytes), which say nothing about the others.
fn bindings(mut list: &[u8]) -> (Option<String>, Vec<Object>, u64) {
    let (mut trap, mut objects, mut broken) = (None, Vec::new(), 0);
    while !list.is_empty() && objects.len() < OBJECTS_MAX {
        // Behind a length that is not there nothing can be told.
        let Ok((tag, bytes)) = element(&mut list) else { return (trap, objects, broken + 1) };
        match binding(tag, bytes) {
            Ok((name, Some(value))) if name == TRAP_OBJECT => trap = Some(value),
            Ok((name, Some(value))) => objects.push((name, value)),
            Ok((_, None)) => {}
            Err(Broken) => broken += 1,
        }
    }
    (trap, objects, broken)
}

/// An object's identifier and its value, if it has one.
fn binding(tag: u8, mut bytes: &[u8]) -> Result<(String, Option<String>), Broken> {
    if tag != SEQUENCE {
        return Err(Broken);
    }
    let name = object(expect(&mut bytes, OBJECT)?)?;
    Ok((name, shown(element(&mut bytes)?)?))
}

/// The answer to an inform: the same message as a response.
fn response(inform: &[u8], tag_at: usize) -> Vec<u8> {
    let mut response = inform.to_vec();
    response[tag_at] = RESPONSE;
    response
}

/// The instance that tells apart what a trap is about, with its object's name.
fn instance<'n>(rule: &TrapRule, objects: &'n [Object]) -> Option<(&'n str, &'n str)> {
    rule.objects.iter().find_map(|column| {
        objects.iter().find_map(|(object, value)| match below(object, column)? {
            "" => Some((name_of(object), value.as_str())),
            instance => Some((name_of(object), instance)),
        })
    })
}

fn alert(
    rule: &TrapRule,
    status: AlertStatus,
    entity: &str,
    notification: &Notification,
    details: &[(&str, &str)],
    packet: &Packet<'_>,
    out: &mut Gathered,
) {
    let name = rule.alert.as_deref().unwrap_or(&rule.name);
    let instance = instance(rule, &notification.objects);
    let labels: Vec<(&str, &str)> = instance.iter().map(|(_, instance)| ("instance", *instance)).collect();
    let mut annotations = details.to_vec();
    let summary = match instance {
        Some((object, instance)) => format!("{} of {object} {instance}", rule.name),
        None => rule.name.clone(),
    };
    annotations.truncate(LABELS_MAX - 2);
    annotations.extend([("summary", summary.as_str()), ("trap", &notification.trap)]);
    out.alerts.push(&AlertRow {
        time: packet.received,
        source: "snmp",
        name,
        entity,
        severity: rule.severity,
        status,
        fingerprint: alert_fingerprint("snmp", name, entity, &labels),
        labels: &labels,
        annotations: &sorted_labels(annotations),
        starts_at: packet.received,
        ends_at: (status == AlertStatus::Resolved).then_some(packet.received),
        url: None,
    });
}

fn change(rule: &TrapRule, entity: &str, details: &[(&str, &str)], packet: &Packet<'_>, out: &mut Gathered) {
    let text = sentence(rule, details);
    let mut changes = ChangeBuilder::new();
    let id = format!("snmp-{:032x}", xxh3_128(&[packet.bytes, &packet.received.0.to_le_bytes()].concat()));
    changes.push(&ChangeRow {
        time: packet.received,
        id: &id,
        change_type: &rule.name,
        entity,
        artifact: None,
        who: None,
        url: None,
        text: Some(&text),
    });
    out.inputs.push(Input::Batch(changes.finish_for(packet.tenant)));
}

fn log(
    rule: &TrapRule,
    entity: &str,
    notification: &Notification,
    details: &[(&str, &str)],
    packet: &Packet<'_>,
    out: &mut Gathered,
) {
    let body = sentence(rule, details);
    let with_trap = details.iter().copied().take(LABELS_MAX - 1).chain([("snmp.trap", notification.trap.as_str())]);
    out.logs.push(&LogRow {
        time: packet.received,
        entity,
        severity: rule.severity.number(),
        body: &body,
        attributes: &sorted_labels(with_trap),
        trace_id: None,
    });
}

/// `coldStart sysName=db-1`.
fn sentence(rule: &TrapRule, details: &[(&str, &str)]) -> String {
    let words = details.iter().map(|(name, value)| format!(" {name}={value}"));
    std::iter::once(rule.name.clone()).chain(words).collect()
}

#[cfg(test)]
mod tests;
