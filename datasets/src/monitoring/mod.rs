//! The tools that watch the estate, each in its own way.
//!
//! Five tools see the same world differently: other rules, other names for them, other labels,
//! another rhythm, another delay, and clocks that do not quite agree. [`TOOLS`] is the list;
//! `rules` has what each of them looks for.

mod rules;
mod words;

pub use rules::{Limit, RULES, Rule, Side};
pub(crate) use words::{AlertWords, words_of};

/// Which tool.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Tool {
    /// Scrapes services and pods, evaluates rules, repeats every minute.
    Prometheus,
    /// An agent on each machine that reports to a central server.
    HostAgent,
    /// Polls network devices and machines by SNMP and ping.
    NetworkPoller,
    /// Plays a customer from outside.
    Probe,
    /// Counts error lines.
    LogMonitor,
}

/// How a tool works.
#[derive(Clone, Copy, Debug)]
pub struct ToolSpec {
    /// Which.
    pub tool: Tool,
    /// The `source` of its alerts.
    pub source: &'static str,
    /// It looks this often.
    pub every_secs: i64,
    /// It says the same again this often while it holds.
    pub repeat_secs: i64,
    /// What it says arrives this much later, at least.
    pub delay_secs: f64,
    /// And up to this much more.
    pub jitter_secs: f64,
    /// Its clock is wrong by up to this much, one draw per tenant.
    pub skew_ms_max: i64,
}

/// Every tool.
pub const TOOLS: [ToolSpec; 5] = [
    ToolSpec {
        tool: Tool::Prometheus,
        source: "prometheus",
        every_secs: 30,
        repeat_secs: 60,
        delay_secs: 1.0,
        jitter_secs: 4.0,
        skew_ms_max: 50,
    },
    ToolSpec {
        tool: Tool::HostAgent,
        source: "host-agent",
        every_secs: 60,
        repeat_secs: 300,
        delay_secs: 2.0,
        jitter_secs: 12.0,
        skew_ms_max: 1_500,
    },
    ToolSpec {
        tool: Tool::NetworkPoller,
        source: "network-poller",
        every_secs: 30,
        repeat_secs: 180,
        delay_secs: 1.0,
        jitter_secs: 8.0,
        skew_ms_max: 3_000,
    },
    ToolSpec {
        tool: Tool::Probe,
        source: "synthetics",
        every_secs: 60,
        repeat_secs: 300,
        delay_secs: 1.0,
        jitter_secs: 3.0,
        skew_ms_max: 200,
    },
    ToolSpec {
        tool: Tool::LogMonitor,
        source: "log-alerts",
        every_secs: 60,
        repeat_secs: 120,
        delay_secs: 5.0,
        jitter_secs: 15.0,
        skew_ms_max: 500,
    },
];

impl Tool {
    /// How this tool works.
    pub fn spec(self) -> &'static ToolSpec {
        &TOOLS[self as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tools_stand_at_their_own_place_in_the_list() {
        for (index, spec) in TOOLS.iter().enumerate() {
            assert_eq!(spec.tool as usize, index, "{}", spec.source);
        }
    }
}
