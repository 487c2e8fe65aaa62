//! Time as an input.

use std::time::Duration;

use jiff::Timestamp;

/// Nanoseconds since the router started, on a clock that never goes back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub u64);

impl Time {
    /// This time and `span` more; stays at the end of time where that is reached.
    #[must_use]
    pub fn after(self, span: Duration) -> Self {
        let nanos = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(nanos))
    }

    /// How long it is from here until `later`; zero if that has passed.
    #[must_use]
    pub fn until(self, later: Self) -> Duration {
        Duration::from_nanos(later.0.saturating_sub(self.0))
    }
}

/// A moment of civil time: microseconds since the beginning of 1970 in UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixTime(pub i64);

impl UnixTime {
    /// The moment when it is `time` on the clock that stood at zero at this one.
    #[must_use]
    pub fn at(self, time: Time) -> Self {
        Self(self.0.saturating_add_unsigned(time.0 / 1000))
    }

    /// This moment and `span` earlier.
    #[must_use]
    pub fn before(self, span: Duration) -> Self {
        Self(
            self.0
                .saturating_sub_unsigned(u64::try_from(span.as_micros()).unwrap_or(u64::MAX)),
        )
    }

    /// `2014-06-22T16:36:25.448000Z`: RFC 3339, and so ISO 8601, in UTC with microseconds. Moments beyond the
    /// year 9999 are written as its end.
    #[must_use]
    pub fn to_rfc3339(self) -> String {
        let timestamp = Timestamp::from_microsecond(self.0).unwrap_or(Timestamp::MAX);
        format!("{timestamp:.6}")
    }

    /// The moment that a text of RFC 3339 names, with any offset; finer digits than microseconds are cut off.
    #[must_use]
    pub fn from_rfc3339(text: &str) -> Option<Self> {
        let timestamp: Timestamp = text.parse().ok()?;
        Some(Self(timestamp.as_microsecond()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn civil_time_is_written_and_read() {
        let text = "2014-06-22T16:36:25.448000Z";
        let moment = UnixTime::from_rfc3339(text).expect("RFC 3339");
        assert_eq!(moment, UnixTime(1_403_454_985_448_000));
        assert_eq!(moment.to_rfc3339(), text);
        assert_eq!(
            UnixTime::from_rfc3339("2014-06-22T18:36:25.448+02:00"),
            Some(moment)
        );
        assert_eq!(UnixTime(0).to_rfc3339(), "1970-01-01T00:00:00.000000Z");
        for wrong in [
            "",
            "yesterday",
            "2014-06-22",
            "2014-06-22T16:36:25",
            "2014-13-22T16:36:25Z",
        ] {
            assert_eq!(UnixTime::from_rfc3339(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn civil_time_has_an_end() {
        assert!(UnixTime(i64::MAX).to_rfc3339().starts_with("9999-12-30"));
        assert_eq!(UnixTime(5).at(Time(7_999)), UnixTime(12));
        assert_eq!(UnixTime(i64::MAX).at(Time(u64::MAX)), UnixTime(i64::MAX));
    }
}
