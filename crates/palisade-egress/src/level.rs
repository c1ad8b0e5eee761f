//! How firmly a policy holds for a program that Palisade starts.

use std::fmt;
use std::str::FromStr;

/// How firmly a policy holds for a program that Palisade starts, from loose to tight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// The program is told of the proxy by variables; it may go past it.
    Advisory,
    /// The kernel hands every connection that the program makes to a supervisor.
    Supervised,
    /// The program has a network of its own, in which every destination is Palisade's proxy.
    Isolated,
}

impl Level {
    /// Every level, from loose to tight.
    pub const ALL: [Self; 3] = [Self::Advisory, Self::Supervised, Self::Isolated];

    /// The word in the configuration and in the log.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Advisory => "advisory",
            Self::Supervised => "supervised",
            Self::Isolated => "isolated",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Level {
    type Err = UnknownLevel;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut levels = Self::ALL.into_iter();
        levels
            .find(|level| level.as_str() == text)
            .ok_or(UnknownLevel)
    }
}

/// The text names no level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is no level; write `advisory`, `supervised` or `isolated`")]
pub struct UnknownLevel;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_order() {
        for level in Level::ALL {
            assert_eq!(level.as_str().parse(), Ok(level));
        }
        assert_eq!("Isolated".parse::<Level>(), Err(UnknownLevel));
        assert!(Level::Advisory < Level::Supervised && Level::Supervised < Level::Isolated);
    }
}
