//! How strongly a child process is kept to the guard.

use std::fmt;
use std::str::FromStr;

/// How a child's traffic is kept to the guard, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Proxy variables alone: nothing stops a program that ignores them.
    Advisory,
    /// The kernel asks this process for every socket of the child.
    Supervised,
    /// The child has a network of its own in which every address leads to this process.
    Isolated,
}

impl Level {
    /// The word in configuration and log.
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

/// No level has this name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the levels are `advisory`, `supervised` and `isolated`")]
pub struct UnknownLevel;

impl FromStr for Level {
    type Err = UnknownLevel;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Advisory, Self::Supervised, Self::Isolated]
            .into_iter()
            .find(|level| level.as_str() == text)
            .ok_or(UnknownLevel)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_ordered_and_named() {
        assert!(Level::Advisory < Level::Supervised && Level::Supervised < Level::Isolated);
        for level in [Level::Advisory, Level::Supervised, Level::Isolated] {
            assert_eq!(level.to_string().parse(), Ok(level));
        }
        assert_eq!("Isolated".parse::<Level>(), Err(UnknownLevel));
    }
}
