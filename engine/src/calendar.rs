//! Working time: when somebody is there to answer, and how long a stretch of it takes.
//!
//! ```yaml
//! calendars:
//!   - {name: office, zone: Europe/Berlin, hours: [mon-fri 08:00-18:00, sat 09:00-13:00], holidays: [2026-12-25]}
//! ```
//!
//! Hours are those of the clock on the wall there, also where summer time begins or ends. The rules of time
//! zones are part of this build, so that a replay elsewhere counts the same.

use std::fmt;
use std::str::FromStr;
use std::sync::OnceLock;

use jiff::civil::{Date, Time, Weekday};
use jiff::tz::{TimeZone, TimeZoneDatabase};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::time::{EventTime, Span};

/// Days that are looked at for the end of a stretch of working time: a year in which nobody works answers nothing.
const DAYS_MAX: usize = 366;
/// Lines of opening hours in one calendar.
const HOURS_MAX: usize = 64;
/// Holidays in one calendar.
const HOLIDAYS_MAX: usize = 2_000;

/// When somebody works.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Calendar {
    /// Its name.
    pub name: String,
    /// IANA name of the time zone whose clock counts.
    #[serde(default)]
    pub zone: Zone,
    /// Opening hours, `mon-fri 08:00-18:00`; round the clock where there are none.
    #[serde(default)]
    #[schemars(length(max = 64))]
    pub hours: Vec<Hours>,
    /// Days, `2026-12-25`, on which nobody works.
    #[serde(default)]
    #[schemars(length(max = 2000))]
    pub holidays: Vec<Day>,
}

impl Calendar {
    /// The instant at which `span` of working time is over that begins at `from`; `None` where a year does not have
    /// so much.
    #[must_use]
    pub fn after(&self, from: EventTime, span: Span) -> Option<EventTime> {
        let mut left = span.0.max(0);
        if left == 0 || self.never_closes() {
            return Some(from.plus(Span(left)));
        }
        for (opens, closes) in self.open_from(from) {
            let open = closes.since(opens).0;
            if left <= open {
                return Some(opens.plus(Span(left)));
            }
            left -= open;
        }
        None
    }

    /// The working time between two instants; at most that of the first year.
    #[must_use]
    pub fn between(&self, from: EventTime, to: EventTime) -> Span {
        if self.never_closes() {
            return Span(to.since(from).0.max(0));
        }
        let open = self.open_from(from).take_while(|(opens, _)| *opens < to);
        Span(open.map(|(opens, closes)| closes.min(to).since(opens).0).sum())
    }

    fn never_closes(&self) -> bool {
        self.hours.is_empty() && self.holidays.is_empty()
    }

    /// Whether somebody works then.
    #[must_use]
    pub fn is_open(&self, at: EventTime) -> bool {
        self.open_from(at).next().is_some_and(|(opens, _)| opens == at)
    }

    /// The stretches of working time from an instant on, in order, for a year.
    fn open_from(&self, from: EventTime) -> impl Iterator<Item = (EventTime, EventTime)> {
        let first = self.zone.date_of(from);
        let days = std::iter::successors(first, |day| day.tomorrow().ok()).take(DAYS_MAX);
        days.flat_map(move |day| self.open_on(day)).filter_map(move |(opens, closes)| {
            let opens = opens.max(from);
            (opens < closes).then_some((opens, closes))
        })
    }

    /// The stretches of one day, in order.
    fn open_on(&self, day: Date) -> Vec<(EventTime, EventTime)> {
        if self.holidays.iter().any(|holiday| holiday.0 == day) {
            return Vec::new();
        }
        let whole = [Hours::ALWAYS];
        let hours = if self.hours.is_empty() { &whole[..] } else { &self.hours };
        let today = hours.iter().filter(|hours| hours.holds(day.weekday()));
        let mut open: Vec<(EventTime, EventTime)> = today
            .filter_map(|hours| Some((self.zone.instant(day, hours.opens)?, self.zone.instant(day, hours.closes)?)))
            .collect();
        open.sort_unstable();
        // Lines that overlap count once.
        let mut apart: Vec<(EventTime, EventTime)> = Vec::with_capacity(open.len());
        for (opens, closes) in open {
            match apart.last_mut() {
                Some(last) if opens <= last.1 => last.1 = last.1.max(closes),
                _ => apart.push((opens, closes)),
            }
        }
        apart
    }

    /// Whether it has no more lines than are looked at for each incident; what is wrong, with the remedy.
    ///
    /// # Errors
    /// In words, which list is too long.
    pub fn check(&self) -> Result<(), String> {
        if self.hours.len() > HOURS_MAX {
            return Err(format!(
                "calendar `{}` has {} lines of hours: at most {HOURS_MAX}",
                self.name,
                self.hours.len()
            ));
        }
        if self.holidays.len() > HOLIDAYS_MAX {
            let count = self.holidays.len();
            return Err(format!("calendar `{}` has {count} holidays: at most {HOLIDAYS_MAX}", self.name));
        }
        Ok(())
    }
}

/// A time zone by its IANA name.
#[derive(Clone, PartialEq, Debug)]
pub struct Zone(TimeZone);

impl Default for Zone {
    fn default() -> Zone {
        Zone(TimeZone::UTC)
    }
}

impl Zone {
    fn date_of(&self, at: EventTime) -> Option<Date> {
        let at = jiff::Timestamp::from_nanosecond(i128::from(at.0)).ok()?;
        Some(self.0.to_datetime(at).date())
    }

    /// The instant at which a clock on the wall there shows so many minutes of a day; `24:00` is the next day's
    /// midnight. What summer time skips is when it has been skipped.
    fn instant(&self, day: Date, minutes: u16) -> Option<EventTime> {
        let (day, minutes) = if minutes == MINUTES_MAX { (day.tomorrow().ok()?, 0) } else { (day, minutes) };
        let time = Time::new((minutes / 60) as i8, (minutes % 60) as i8, 0, 0).ok()?;
        let at = self.0.to_timestamp(day.to_datetime(time)).ok()?;
        i64::try_from(at.as_nanosecond()).ok().map(EventTime)
    }

    /// Its IANA name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }
}

impl FromStr for Zone {
    type Err = CalendarError;

    fn from_str(name: &str) -> Result<Zone, CalendarError> {
        static RULES: OnceLock<TimeZoneDatabase> = OnceLock::new();
        if name == "UTC" {
            return Ok(Zone::default());
        }
        let rules = RULES.get_or_init(TimeZoneDatabase::bundled);
        rules.get(name).map(Zone).map_err(|_| CalendarError::Zone(short(name)))
    }
}

/// Opening hours of some days of the week, in minutes of the day.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Hours {
    /// A bit for each day; Monday is the lowest.
    days: u8,
    opens: u16,
    closes: u16,
}

/// `24:00`.
const MINUTES_MAX: u16 = 24 * 60;
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

impl Hours {
    const ALWAYS: Hours = Hours { days: 0x7f, opens: 0, closes: MINUTES_MAX };

    fn holds(self, day: Weekday) -> bool {
        self.days & (1 << day.to_monday_zero_offset()) != 0
    }
}

impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let days: Vec<&str> = (0..7).filter(|day| self.days & (1 << day) != 0).map(|day| DAYS[day]).collect();
        let clock = |minutes: u16| format!("{:02}:{:02}", minutes / 60, minutes % 60);
        write!(f, "{} {}-{}", days.join(","), clock(self.opens), clock(self.closes))
    }
}

impl FromStr for Hours {
    type Err = CalendarError;

    fn from_str(text: &str) -> Result<Hours, CalendarError> {
        let wrong = || CalendarError::Hours(short(text));
        let (days, hours) = text.trim().split_once(' ').ok_or_else(wrong)?;
        let day = |name: &str| DAYS.iter().position(|day| day.eq_ignore_ascii_case(name.trim())).ok_or_else(wrong);
        let mut bits = 0_u8;
        for part in days.split(',') {
            let (from, to) = part.split_once('-').unwrap_or((part, part));
            let (from, to) = (day(from)?, day(to)?);
            // `fri-mon` goes over the weekend.
            (0..=(to + 7 - from) % 7).for_each(|step| bits |= 1 << ((from + step) % 7));
        }
        let (opens, closes) = hours.split_once('-').ok_or_else(wrong)?;
        let minutes = |clock: &str| -> Option<u16> {
            let (hour, minute) = clock.trim().split_once(':')?;
            let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
            let minutes = hour.checked_mul(60)?.checked_add(minute)?;
            (minute < 60 && minutes <= MINUTES_MAX).then_some(minutes)
        };
        let (opens, closes) = minutes(opens).zip(minutes(closes)).ok_or_else(wrong)?;
        if opens >= closes {
            return Err(CalendarError::Overnight(short(text)));
        }
        Ok(Hours { days: bits, opens, closes })
    }
}

/// A day, `2026-12-25`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Day(Date);

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl FromStr for Day {
    type Err = CalendarError;

    fn from_str(text: &str) -> Result<Day, CalendarError> {
        text.trim().parse().map(Day).map_err(|_| CalendarError::Day(short(text)))
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A part of a calendar cannot be read.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CalendarError {
    /// No such zone.
    #[error("`{0}` is no time zone; give its IANA name, like `Europe/Berlin`")]
    Zone(String),
    /// No hours.
    #[error("`{0}` are no opening hours; write them like `mon-fri 08:00-18:00`")]
    Hours(String),
    /// They end before they begin.
    #[error("`{0}` ends before it begins; a night is two lines: `mon 22:00-24:00` and `tue 00:00-06:00`")]
    Overnight(String),
    /// No day.
    #[error("`{0}` is no day; write it like `2026-12-25`")]
    Day(String),
}

fn short(text: &str) -> String {
    text.chars().take(64).collect()
}

/// Texts in files and in states: each kind says how it looks there.
macro_rules! as_text {
    ($type:ty, $description:literal) => {
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }

        impl JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($type).into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({"type": "string", "description": $description})
            }
        }
    };
}

as_text!(Zone, "IANA name of a time zone, like `Europe/Berlin`");
as_text!(Hours, "opening hours, like `mon-fri 08:00-18:00`");
as_text!(Day, "a day, like `2026-12-25`");

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> EventTime {
        EventTime::parse_rfc3339(text).expect("an instant")
    }

    fn office() -> Calendar {
        let json = serde_json::json!({"name": "office", "zone": "Europe/Berlin",
            "hours": ["mon-fri 08:00-18:00", "sat 09:00-13:00"], "holidays": ["2026-12-25"]});
        serde_json::from_value(json).expect("a calendar")
    }

    #[test]
    fn a_stretch_goes_on_when_they_open_again() {
        // A Friday, 17:00 in Berlin: an hour is left of it, four on Saturday, the rest on Monday.
        let friday = at("2026-11-27T16:00:00Z");
        assert_eq!(office().after(friday, Span::from_hours(1)), Some(at("2026-11-27T17:00:00Z")));
        assert_eq!(office().after(friday, Span::from_hours(4)), Some(at("2026-11-28T11:00:00Z")));
        assert_eq!(office().after(friday, Span::from_hours(6)), Some(at("2026-11-30T08:00:00Z")));
        // On a Sunday nothing passes.
        assert_eq!(office().after(at("2026-11-29T12:00:00Z"), Span::from_mins(1)), Some(at("2026-11-30T07:01:00Z")));
        assert_eq!(office().after(friday, Span(0)), Some(friday));
    }

    #[test]
    fn a_holiday_is_no_working_day_and_summer_time_moves_the_hours() {
        // Christmas Eve, a Thursday, 17:30 in Berlin: Friday is a holiday.
        assert_eq!(office().after(at("2026-12-24T16:30:00Z"), Span::from_hours(1)), Some(at("2026-12-26T08:30:00Z")));
        // In summer they open at six o'clock UTC, in winter at seven.
        assert_eq!(office().after(at("2026-07-06T00:00:00Z"), Span::from_mins(1)), Some(at("2026-07-06T06:01:00Z")));
        assert_eq!(office().after(at("2026-12-07T00:00:00Z"), Span::from_mins(1)), Some(at("2026-12-07T07:01:00Z")));
    }

    #[test]
    fn a_day_of_summer_time_has_23_hours() {
        let always = Calendar { zone: "Europe/Berlin".parse().expect("a zone"), ..Calendar::default() };
        let (midnight, next) = (at("2026-03-28T23:00:00Z"), at("2026-03-29T22:00:00Z"));
        assert_eq!(always.between(midnight, next), Span::from_hours(23));
        assert_eq!(always.after(midnight, Span::from_hours(23)), Some(next));
    }

    #[test]
    fn what_lies_between_is_what_passes() {
        let (from, to) = (at("2026-11-27T12:34:56Z"), at("2026-12-09T10:00:00Z"));
        let passed = office().between(from, to);
        assert_eq!(office().after(from, passed), Some(to));
        assert_eq!(office().between(to, from), Span(0));
        assert!(office().is_open(from) && !office().is_open(at("2026-11-29T12:00:00Z")));
    }

    #[test]
    fn lines_that_overlap_count_once_and_who_never_works_never_ends() {
        let twice = Calendar {
            hours: ["mon-fri 08:00-18:00", "mon 12:00-20:00"].map(|text| text.parse().expect("hours")).to_vec(),
            ..Calendar::default()
        };
        let monday = at("2026-11-30T00:00:00Z");
        assert_eq!(twice.between(monday, at("2026-12-01T00:00:00Z")), Span::from_hours(12));
        let mut never = office();
        never.hours = vec!["sun 10:00-10:01".parse().expect("hours")];
        assert_eq!(never.after(monday, Span::from_hours(1)), None, "52 minutes a year");
    }

    #[test]
    fn what_cannot_be_read_says_how_it_is_written() {
        for (text, remedy) in
            [("mon-fri", "like `mon-fri"), ("mon 18:00-08:00", "two lines"), ("day 1:00-2:00", "like")]
        {
            let error = text.parse::<Hours>().expect_err(text).to_string();
            assert!(error.contains(remedy), "{error}");
        }
        assert!("mon 08:00-24:01".parse::<Hours>().is_err() && "mon 00:00-24:00".parse::<Hours>().is_ok());
        assert!("Europe/Bonn".parse::<Zone>().expect_err("no zone").to_string().contains("Europe/Berlin"));
        assert!("2026-02-30".parse::<Day>().is_err());
        let again: Hours = "fri-mon 08:00-12:30".parse::<Hours>().expect("hours").to_string().parse().expect("hours");
        assert_eq!(again.to_string(), "mon,fri,sat,sun 08:00-12:30");
    }

    #[test]
    fn a_calendar_is_kept_as_it_is() {
        let saved: Calendar = postcard::from_bytes(&postcard::to_stdvec(&office()).expect("saves")).expect("restores");
        assert_eq!(saved, office());
        let json = serde_json::to_value(office()).expect("JSON");
        assert_eq!(serde_json::from_value::<Calendar>(json).expect("reads"), office());
    }
}
