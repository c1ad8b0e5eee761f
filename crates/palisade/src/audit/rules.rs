//! How much is told of which calls.

use palisade_audit::{Pattern, Redactor, ToolPolicy};

use crate::exchange::{Call, Text};

/// What is told of the calls of one server.
#[derive(Debug, Default)]
pub struct Rules {
    list: Vec<(Pattern, Level)>,
    redactor: Redactor,
}

/// What is told of the tools that a pattern means.
#[derive(Clone, Debug)]
pub struct Rule {
    /// A tool's name, with `*` for any characters.
    pub tool: String,
    /// How much.
    pub level: Level,
    /// What becomes of arguments and answers.
    pub redaction: ToolPolicy,
}

/// How much is told of a call. What Palisade refused is told at any level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Level {
    /// Neither arguments nor answer.
    Metadata,
    /// Nothing, not even an intent.
    None,
    /// The arguments (the default).
    #[default]
    Request,
    /// Arguments and answer.
    Response,
}

impl Rules {
    /// The first rule that means a tool counts; without one, its arguments are told. `redactor` gets the rules' redaction; hand
    /// over one that knows what else is to hold.
    #[must_use]
    pub fn new(rules: impl IntoIterator<Item = Rule>, mut redactor: Redactor) -> Self {
        let mut list = Vec::new();
        for rule in rules {
            redactor = redactor.tool(rule.tool.as_str(), rule.redaction);
            list.push((Pattern::new(rule.tool), rule.level));
        }
        Self { list, redactor }
    }

    /// How much is told of `call`.
    #[must_use]
    pub fn level(&self, call: &Call) -> Level {
        if call.method.as_ref().map(Text::as_bytes) != Some(b"tools/call") {
            return Level::default();
        }
        let tool = call.target.as_ref().map_or("", Text::as_str);
        self.list
            .iter()
            .find(|(pattern, _)| pattern.matches(tool))
            .map_or_else(Level::default, |(_, level)| *level)
    }

    pub(super) const fn redactor(&self) -> &Redactor {
        &self.redactor
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // REQ: L-1
    #[test]
    fn the_first_rule_counts() {
        let rule = |tool: &str, level| Rule {
            tool: tool.to_owned(),
            level,
            redaction: ToolPolicy::Default,
        };
        let rules = Rules::new(
            [
                rule("read_secret", Level::None),
                rule("read_*", Level::Metadata),
                rule("*_all", Level::Response),
                rule("read_all", Level::Request),
            ],
            Redactor::new(),
        );
        for (method, tool, level) in [
            ("tools/call", "read_secret", Level::None),
            ("tools/call", "read_note", Level::Metadata),
            ("tools/call", "read_all", Level::Metadata),
            ("tools/call", "list_all", Level::Response),
            ("tools/call", "other", Level::Request),
            ("prompts/get", "read_secret", Level::Request),
        ] {
            let call = Call {
                method: Some(method.into()),
                target: Some(tool.into()),
                ..Call::default()
            };
            assert_eq!(rules.level(&call), level, "{method} {tool}");
        }
    }
}
