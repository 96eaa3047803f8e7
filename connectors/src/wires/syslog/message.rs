//! What a syslog message says, in whatever form it came.

use std::borrow::Cow;

use bellwether_engine::time::EventTime;

/// A message taken apart; fields that are absent are empty.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Message<'a> {
    /// 0–23.
    pub facility: u8,
    /// 0 (emergency) – 7 (debug).
    pub severity: u8,
    /// Facility and severity are the sender's, not what stands in for them.
    pub prioritised: bool,
    /// When, as the sender says.
    pub time: Option<EventTime>,
    /// The time names no zone and was read as UTC.
    pub zoneless: bool,
    /// Who.
    pub host: &'a str,
    /// Which program.
    pub app: &'a str,
    /// Its process.
    pub process: &'a str,
    /// The kind of message (RFC 5424 MSGID).
    pub id: &'a str,
    /// Structured data as `element.parameter` and value, in order.
    pub data: Vec<(String, Cow<'a, str>)>,
    /// The same as it was sent.
    pub raw_data: &'a str,
    /// The text.
    pub text: &'a str,
}
