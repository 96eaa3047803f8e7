//! The levels of log lines: what people, loggers and protocols call them, as OpenTelemetry's
//! severity numbers.

/// Longest name of a level; longer words are none.
const LEVEL_BYTES_MAX: usize = 16;

/// The OpenTelemetry severity number (1–24) of a log level's name; 0 for unknown. Digits are read
/// as by [`level_number`].
pub fn log_severity(level: &str) -> u8 {
    let level = level.trim().as_bytes();
    if level.is_empty() || level.len() > LEVEL_BYTES_MAX {
        return 0;
    }
    let mut lower = [0; LEVEL_BYTES_MAX];
    let lower = &mut lower[..level.len()];
    lower.copy_from_slice(level);
    lower.make_ascii_lowercase();
    match &*lower {
        // OpenTelemetry's own short names count within a range: `ERROR2`.
        [name @ .., step @ b'2'..=b'4'] if !name.is_empty() => match name {
            b"trace" | b"debug" | b"info" | b"warn" | b"error" | b"fatal" => of_name(name) + (*step - b'1'),
            _ => of_digits(lower),
        },
        [b'0'..=b'9', ..] => of_digits(lower),
        name => of_name(name),
    }
}

fn of_digits(digits: &[u8]) -> u8 {
    let number = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
    number.map_or(0, level_number)
}

/// A level written as a number: 0–7 as in syslog, 10–60 as of pino and bunyan, between and beyond as
/// OpenTelemetry's (9 is INFO, 17 is ERROR), hundreds as of Monolog. 10 and 20 could be either
/// OpenTelemetry's or pino's: a level of OpenTelemetry comes in fields of its own.
pub fn level_number(number: u64) -> u8 {
    match number {
        0..=7 => syslog_severity(number as u8),
        8 | 9 | 11..=19 | 21..=24 => number as u8,
        10 => 1,
        20 => 5,
        30 => 9,
        40 => 13,
        50 => 17,
        60 => 21,
        // pino and bunyan allow levels between: they count as the one below.
        25..=69 => level_number(number / 10 * 10),
        100 => 5,
        200 => 9,
        250 => 10,
        300 => 13,
        400 => 17,
        500 => 21,
        550 => 22,
        600 => 24,
        _ => 0,
    }
}

/// The OpenTelemetry severity number of a syslog severity (0 emergency, 7 debug), after the table in
/// the log data model's appendix B.
pub fn syslog_severity(severity: u8) -> u8 {
    [21, 19, 18, 17, 13, 10, 9, 5][usize::from(severity & 7)]
}

fn of_name(name: &[u8]) -> u8 {
    match name {
        b"trace" | b"trc" | b"trce" | b"finest" | b"finer" | b"verbose" | b"vrb" | b"verb" | b"t" | b"v" | b"silly" => {
            1
        }
        b"debug" | b"dbg" | b"debg" | b"dbug" | b"deb" | b"fine" | b"d" => 5,
        b"info" | b"inf" | b"information" | b"informational" | b"informative" | b"i" | b"config" => 9,
        b"notice" | b"note" | b"ntc" | b"n" => 10,
        b"warn" | b"warning" | b"wrn" | b"warnin" | b"w" => 13,
        b"error" | b"err" | b"erro" | b"eror" | b"severe" | b"failure" | b"fail" | b"e" => 17,
        b"fatal" | b"ftl" | b"fata" | b"critical" | b"crit" | b"crt" | b"cri" | b"panic" | b"pnc" | b"dpanic"
        | b"f" | b"c" => 21,
        b"alert" | b"alrt" | b"a" => 22,
        b"emergency" | b"emerg" | b"emrg" => 24,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_level_has_its_number() {
        for (number, words) in [
            (1, "trace TRC verbose Finest t"),
            (5, "debug DBG D fine dbug"),
            (9, "info INF Information I informational"),
            (10, "notice"),
            (13, "warn WARNING WRN w"),
            (17, "error ERR ERRO E severe"),
            (21, "fatal FTL crit critical panic dpanic PANIC f"),
            (22, "alert"),
            (24, "emerg EMERGENCY"),
        ] {
            for word in words.split(' ') {
                assert_eq!(log_severity(word), number, "{word}");
                assert_eq!(log_severity(&format!(" {word}\n")), number, "{word}");
            }
        }
        for (word, number) in [("TRACE4", 4), ("ERROR2", 18), ("warn3", 15), ("fatal4", 24)] {
            assert_eq!(log_severity(word), number, "{word}");
        }
        for none in ["", "errors", "error5", "notice2", "x", "informationalinformational", "-1", "ä"] {
            assert_eq!(log_severity(none), 0, "{none}");
        }
    }

    #[test]
    fn numbers_are_those_of_syslog_pino_and_monolog() {
        for (number, want) in [
            ("0", 21),
            ("3", 17),
            ("7", 5),
            ("10", 1),
            ("20", 5),
            ("30", 9),
            ("35", 9),
            ("40", 13),
            ("50", 17),
            ("60", 21),
        ] {
            assert_eq!(log_severity(number), want, "{number}");
        }
        assert_eq!([9, 17, 24, 8, 70, 400, 1_000].map(level_number), [9, 17, 24, 8, 0, 17, 0]);
    }
}
