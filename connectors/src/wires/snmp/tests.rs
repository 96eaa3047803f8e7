//! Datagrams as net-snmp writes them, written by hand, damaged and made up.

use bellwether_engine::signal::{AlertColumns, Batch, ChangeColumns, LogColumns, SignalKind};
use bellwether_engine::time::EventTime;
use proptest::prelude::*;

use super::*;
use crate::journal::receipts::{Claims, Receipts};
use crate::server::testing::acme;

fn tagged(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    match content.len() {
        short @ 0..0x80 => out.push(short as u8),
        long => out.extend([0x82, (long >> 8) as u8, long as u8]),
    }
    out.extend_from_slice(content);
    out
}

fn encoded(object: &str) -> Vec<u8> {
    let arcs: Vec<u32> = object.split('.').map(|arc| arc.parse().expect("a number")).collect();
    let mut out = vec![(arcs[0] * 40 + arcs[1]) as u8];
    for arc in &arcs[2..] {
        let groups: Vec<u8> = (0..5).rev().map(|at| (arc >> (7 * at) & 0x7f) as u8).collect();
        let start = groups.iter().position(|group| *group != 0).unwrap_or(4);
        let last = groups.len() - 1;
        out.extend(groups[start..last].iter().map(|group| group | 0x80));
        out.push(groups[last]);
    }
    tagged(OBJECT, &out)
}

/// A notification of `trap` with further objects as (identifier, encoded value).
fn datagram(pdu: u8, trap: &str, further: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let bind = |name: &str, value: &[u8]| tagged(SEQUENCE, &[encoded(name), value.to_vec()].concat());
    let mut list = bind(UPTIME, &tagged(0x43, &[0x1f, 0x40]));
    list.extend(bind(TRAP_OBJECT, &encoded(trap)));
    for (name, value) in further {
        list.extend(bind(name, value));
    }
    let zero = tagged(INTEGER, &[0]);
    let pdu = tagged(pdu, &[tagged(INTEGER, &[0x12, 0x34]), zero.clone(), zero, tagged(SEQUENCE, &list)].concat());
    tagged(SEQUENCE, &[tagged(INTEGER, &[1]), tagged(OCTETS, b"plant"), pdu].concat())
}

fn link(trap: u8, index: u8) -> Vec<u8> {
    let column = format!("1.3.6.1.2.1.2.2.1.1.{index}");
    let name = format!("1.3.6.1.2.1.31.1.1.1.1.{index}");
    let further = [(column.as_str(), tagged(INTEGER, &[index])), (name.as_str(), tagged(OCTETS, b"Gi0/1"))];
    datagram(TRAP, &format!("1.3.6.1.6.3.1.1.5.{trap}"), &further)
}

fn wire(config: &SnmpConfig) -> Snmp {
    Snmp::new(config, Arc::new(EntityResolver::default())).expect("rules are good")
}

fn take(wire: &Snmp, bytes: &[u8], out: &mut Gathered) -> Result<Option<Vec<u8>>, &'static str> {
    let received = EventTime::from_secs(1_795_174_743);
    wire.read(Packet { tenant: acme(), from: [10, 0, 0, 9].into(), bytes, received }, out)
}

fn batches(out: &mut Gathered) -> Vec<Batch> {
    let inputs = out.finish(acme()).into_iter();
    inputs.map(|input| if let Input::Batch(batch) = input { batch } else { panic!("a batch") }).collect()
}

#[test]
fn link_down_and_up_of_one_interface_are_one_alert() {
    let wire = wire(&SnmpConfig::default());
    let mut out = Gathered::default();
    for bytes in [link(3, 7), link(3, 8), link(4, 7)] {
        assert_eq!(take(&wire, &bytes, &mut out), Ok(None));
    }
    let found = batches(&mut out);
    let alerts = AlertColumns::of(&found[0]);
    let status: Vec<_> = (0..3).map(|row| alerts.status(row)).collect();
    assert_eq!(status, [Some(AlertStatus::Firing), Some(AlertStatus::Firing), Some(AlertStatus::Resolved)]);
    assert_eq!((alerts.name(0), alerts.entity(0)), ("linkDown", "host:10.0.0.9"));
    assert_eq!(alerts.fingerprint[0], alerts.fingerprint[2]);
    assert_ne!(alerts.fingerprint[0], alerts.fingerprint[1]);
    assert_eq!(alerts.labels(0).get("instance"), Some("7"));
    assert_eq!(alerts.annotations(0).get("ifName"), Some("Gi0/1"));
    assert_eq!(alerts.annotations(2).get("summary"), Some("linkUp of ifIndex 7"));
}

#[test]
fn the_instance_is_found_whichever_object_tells_it() {
    let wire = wire(&SnmpConfig::default());
    let mut out = Gathered::default();
    let trap = |trap: u8, object: &str, value: Vec<u8>| {
        datagram(TRAP, &format!("1.3.6.1.6.3.1.1.5.{trap}"), &[(object, value)])
    };
    let seven = tagged(INTEGER, &[7]);
    let up = tagged(INTEGER, &[1]);
    for bytes in
        [trap(3, "1.3.6.1.2.1.2.2.1.1", seven), trap(4, "1.3.6.1.2.1.2.2.1.8.7", up), trap(3, UPTIME, vec![5, 0])]
    {
        take(&wire, &bytes, &mut out).expect("good");
    }
    let found = batches(&mut out);
    let alerts = AlertColumns::of(&found[0]);
    assert_eq!(alerts.fingerprint[0], alerts.fingerprint[1]);
    assert_eq!(alerts.labels(2).len(), 0, "about the device as a whole");
}

#[test]
fn an_inform_is_answered_and_taken_once() {
    let wire = wire(&SnmpConfig::default());
    let receipts = Arc::new(Receipts::default());
    let gather = || Gathered::claiming(Claims::new(receipts.clone(), "acme", EventTime::from_secs(1)));
    let mut out = gather();
    let inform = datagram(INFORM, "1.3.6.1.6.3.1.1.5.5", &[]);
    let answer = take(&wire, &inform, &mut out).expect("good").expect("an answer");
    assert_eq!((answer.len(), answer.iter().zip(&inform).filter(|(a, b)| a != b).count()), (inform.len(), 1));
    assert_eq!(answer, datagram(RESPONSE, "1.3.6.1.6.3.1.1.5.5", &[]));
    assert_eq!(take(&wire, &inform, &mut out), Ok(Some(answer)));
    assert_eq!(out.events, 1);
    let mut meanwhile = gather();
    assert_eq!(take(&wire, &inform, &mut meanwhile), Err("busy"), "it is not known yet whether it will be stored");
    drop((out, meanwhile));
    let mut out = gather();
    take(&wire, &inform, &mut out).expect("good");
    assert_eq!(out.events, 1, "what was not stored is taken again");
    out.claims.take().expect("it has some").keep();
    let mut out = gather();
    assert!(take(&wire, &inform, &mut out).expect("good").is_some());
    assert_eq!(out.events, 0);
    // Two equal traps may be two events.
    let trap = datagram(TRAP, "1.3.6.1.6.3.1.1.5.5", &[]);
    take(&wire, &trap, &mut out).expect("good");
    take(&wire, &trap, &mut out).expect("good");
    assert_eq!(out.events, 2);
}

#[test]
fn a_restart_is_a_change_and_a_stranger_a_log_line() {
    let wire = wire(&SnmpConfig::default());
    let mut out = Gathered::default();
    let relayed = [(TRAP_ADDRESS, tagged(0x40, &[10, 0, 0, 7]))];
    take(&wire, &datagram(TRAP, "1.3.6.1.6.3.1.1.5.1", &relayed), &mut out).expect("good");
    let stranger = [("1.3.6.1.4.1.9.1.0", tagged(OCTETS, b"fan 2"))];
    take(&wire, &datagram(TRAP, "1.3.6.1.4.1.9.0.1", &stranger), &mut out).expect("good");
    let found = batches(&mut out);
    let of = |kind| found.iter().find(|batch| batch.kind() == kind).expect("there");
    let change = ChangeColumns::of(of(SignalKind::Change)).row(0);
    assert_eq!((change.change_type, change.entity), ("coldStart", "host:10.0.0.7"));
    let logs = LogColumns::of(of(SignalKind::Log));
    assert_eq!(logs.body(0), "trap 1.3.6.1.4.1.9.0.1 1.3.6.1.4.1.9.1.0=fan 2");
    assert_eq!(logs.attributes(0).get("snmp.trap"), Some("1.3.6.1.4.1.9.0.1"));
}

#[test]
fn an_object_of_odd_form_refuses_itself_only() {
    let wire = wire(&SnmpConfig::default());
    let index = ("1.3.6.1.2.1.2.2.1.1.8", tagged(INTEGER, &[8]));
    for odd in [tagged(0x40, &[]), tagged(0x40, &[1; 16]), tagged(INTEGER, &[]), tagged(OBJECT, &[]), vec![0x02]] {
        let mut out = Gathered::default();
        let further = [("1.3.6.1.4.1.9.1.0", odd.clone()), (index.0, index.1.clone())];
        assert_eq!(take(&wire, &datagram(TRAP, "1.3.6.1.6.3.1.1.5.3", &further), &mut out), Ok(None), "{odd:?}");
        assert_eq!(out.refused.iter().collect::<Vec<_>>(), [("object", 1)]);
        let found = batches(&mut out);
        let alerts = AlertColumns::of(&found[0]);
        assert_eq!((alerts.name(0), alerts.labels(0).get("instance")), ("linkDown", Some("8")));
    }
}

#[test]
fn an_agent_that_does_not_know_its_address_is_its_sender() {
    let wire = wire(&SnmpConfig::default());
    let mut out = Gathered::default();
    let zeros = [(TRAP_ADDRESS, tagged(0x40, &[0; 4]))];
    take(&wire, &datagram(TRAP, "1.3.6.1.6.3.1.1.5.3", &zeros), &mut out).expect("good");
    assert_eq!(AlertColumns::of(&batches(&mut out)[0]).entity(0), "host:10.0.0.9");
}

#[test]
fn a_rule_of_the_configuration_comes_before_the_built_in_ones() {
    let config: SnmpConfig = serde_saphyr::from_str(
        "{others: firing, communities: [plant], rules: [
            {trap: 1.3.6.1.6.3.1.1.5.3, name: port down, meaning: log},
            {trap: '1.3.6.1.4.1.9.*', name: cisco, meaning: firing, severity: critical, objects: [1.3.6.1.4.1.9.1]}]}",
    )
    .expect("reads");
    let wire = wire(&config);
    let mut out = Gathered::default();
    take(&wire, &link(3, 1), &mut out).expect("good");
    let cisco = [("1.3.6.1.4.1.9.1.4.2", tagged(OCTETS, b"x"))];
    take(&wire, &datagram(TRAP, "1.3.6.1.4.1.9.0.1", &cisco), &mut out).expect("good");
    take(&wire, &datagram(TRAP, "1.3.6.1.4.1.99.0.1", &[]), &mut out).expect("good");
    let found = batches(&mut out);
    assert!(LogColumns::of(&found[0]).body(0).starts_with("port down ifIndex=1"));
    let alerts = AlertColumns::of(&found[1]);
    assert_eq!((alerts.name(0), alerts.labels(0).get("instance")), ("cisco", Some("4.2")));
    assert_eq!(alerts.name(1), "trap 1.3.6.1.4.1.99.0.1");

    let wrong = SnmpConfig { communities: vec!["other".to_owned()], ..SnmpConfig::default() };
    let refusing = self::wire(&wrong);
    assert_eq!(take(&refusing, &link(3, 1), &mut out), Err("community"));
    let mut config = config;
    config.rules[0].trap = "linkDown".to_owned();
    let error = Snmp::new(&config, Arc::default()).err().expect("no identifier").to_string();
    assert!(error.contains("`linkDown`") && error.contains("port down"), "{error}");
}

#[test]
fn what_is_no_v2c_notification_is_refused_by_reason() {
    let wire = wire(&SnmpConfig::default());
    let mut out = Gathered::default();
    let mut v1 = link(3, 1);
    let version = v1.windows(3).position(|bytes| bytes == [INTEGER, 1, 1]).expect("it has one");
    v1[version + 2] = 0;
    let get = datagram(0xa0, "1.3.6.1.6.3.1.1.5.3", &[]);
    for (bytes, why) in
        [(&v1[..], "version"), (&get, "no_notification"), (&[][..], "malformed"), (&[0x30, 0], "malformed")]
    {
        assert_eq!(take(&wire, bytes, &mut out), Err(why));
    }
    assert!(out.is_empty());
}

proptest! {
    #![proptest_config(crate::fuzz::config())]

    #[test]
    fn damaged_and_arbitrary_datagrams_never_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        places in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let wire = wire(&SnmpConfig::default());
        let mut damaged = datagram(INFORM, "1.3.6.1.6.3.1.1.5.3", &[("1.3.6.1.2.1.2.2.1.1.7", tagged(INTEGER, &[7]))]);
        for (place, with) in places {
            let at = place.index(damaged.len());
            damaged[at] = with;
        }
        let cut = damaged[..cut.index(damaged.len())].to_vec();
        for body in [bytes, damaged, cut] {
            let mut out = Gathered::default();
            let taken = take(&wire, &body, &mut out);
            prop_assert_eq!(taken.is_ok(), out.events == 1);
            if let Ok(Some(answer)) = taken {
                prop_assert_eq!(answer.len(), body.len());
            }
        }
    }
}
