//! Which calls are written down before they leave.

use palisade_audit::Pattern;

use crate::exchange::{Call, Facts, Text};
use crate::mcp::shown::Shown;

/// When an intent is recorded, and for which calls.
#[derive(Clone, Debug, Default)]
pub struct Intents {
    /// Of which calls.
    pub of: WriteAhead,
    /// Tools that destroy something, whatever their server says of them.
    pub destructive: Vec<Pattern>,
}

/// Of which calls an intent stands in the log before they leave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WriteAhead {
    /// Of whatever is sent to the server.
    All,
    /// Of calls of tools that may destroy something (the default).
    #[default]
    Destructive,
    /// Of none.
    None,
}

impl Intents {
    /// Marks what is to be written down; says whether there is anything.
    pub(super) fn mark(&self, facts: &mut Facts, shown: &Shown) -> bool {
        let mut any = false;
        for call in &mut facts.calls {
            call.destructive = self.is_destructive(call, shown);
            call.intent = match self.of {
                WriteAhead::All => true,
                WriteAhead::Destructive => call.destructive,
                WriteAhead::None => false,
            };
            any |= call.intent;
        }
        any || facts.calls.is_empty() && self.of == WriteAhead::All
    }

    /// By the configuration, else by what the server has said in `tools/list`. A tool that it has said nothing of may destroy
    /// something: so the protocol has it (`destructiveHint` is true by default, `readOnlyHint` false), and a tool that no list
    /// has shown is no better.
    fn is_destructive(&self, call: &Call, shown: &Shown) -> bool {
        if call.method.as_ref().map(Text::as_bytes) != Some(b"tools/call") {
            return false;
        }
        let Some(tool) = call.target.as_ref().map(Text::as_str) else {
            return true;
        };
        self.destructive.iter().any(|pattern| pattern.matches(tool)) || shown.may_destroy(tool)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mcp::outcome::ToolHint;

    fn call(method: &str, tool: Option<&str>) -> Call {
        Call {
            method: Some(method.into()),
            target: tool.map(Text::from),
            ..Call::default()
        }
    }

    // REQ: L-0
    #[test]
    fn which_calls_are_destructive() {
        let shown = Shown::default();
        let hint = |name: &str, destructive, read_only| ToolHint {
            name: name.to_owned(),
            destructive,
            read_only,
            ..ToolHint::default()
        };
        shown.saw_tools(&[
            hint("bare", None, None),
            hint("read", None, Some(true)),
            hint("liar", Some(true), Some(true)),
            hint("append", Some(false), None),
            hint("append2", Some(false), Some(false)),
            hint("write", None, Some(false)),
            hint("drop", Some(true), Some(false)),
            hint("delete_read", None, Some(true)),
        ]);
        let intents = Intents {
            of: WriteAhead::Destructive,
            destructive: vec![Pattern::new("delete_*")],
        };
        for (method, tool, expected) in [
            ("tools/call", Some("bare"), true),
            ("tools/call", Some("read"), false),
            // Only of tools that change anything does the other hint mean something.
            ("tools/call", Some("liar"), false),
            ("tools/call", Some("append"), false),
            ("tools/call", Some("append2"), false),
            ("tools/call", Some("write"), true),
            ("tools/call", Some("drop"), true),
            ("tools/call", Some("delete_read"), true),
            ("tools/call", Some("never_listed"), true),
            ("tools/call", None, true),
            ("tools/list", None, false),
            ("resources/read", Some("bare"), false),
        ] {
            let call = call(method, tool);
            assert_eq!(
                intents.is_destructive(&call, &shown),
                expected,
                "{method} {tool:?}"
            );
        }
        // The last word counts.
        shown.saw_tools(&[hint("read", None, None)]);
        assert!(intents.is_destructive(&call("tools/call", Some("read")), &shown));
    }

    // REQ: L-0
    #[test]
    fn what_is_marked() {
        let shown = Shown::default();
        for (of, marks, without_calls) in [
            (WriteAhead::All, [true, true], true),
            (WriteAhead::Destructive, [true, false], false),
            (WriteAhead::None, [false, false], false),
        ] {
            let intents = Intents {
                of,
                destructive: Vec::new(),
            };
            let mut facts = Facts::default();
            assert_eq!(intents.mark(&mut facts, &shown), without_calls, "{of:?}");
            facts.calls = vec![call("tools/call", Some("x")), call("ping", None)];
            assert_eq!(intents.mark(&mut facts, &shown), marks.contains(&true));
            let marked: Vec<bool> = facts.calls.iter().map(|call| call.intent).collect();
            assert_eq!(marked, marks, "{of:?}");
            // What was destroyed is to be found, however little is written.
            assert!(facts.calls[0].destructive && !facts.calls[1].destructive);
        }
    }
}
