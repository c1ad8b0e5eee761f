use super::*;
use crate::auth::Proof;
use std::sync::Arc;

fn patterns(texts: &[&str]) -> Vec<Pattern> {
    texts.iter().map(|text| Pattern::new(text)).collect()
}

fn caller(id: &str, scopes: &[&str], groups: &[&str]) -> Caller {
    let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    Caller::new(Proof::Jwt, "https://a", id)
        .with_scopes(owned(scopes))
        .with_groups(owned(groups))
}

fn access() -> Access {
    Access {
        rules: vec![
            Rule {
                tools: patterns(&["read_*"]),
                scopes: vec!["read".to_owned()],
                ..Rule::default()
            },
            Rule {
                tools: patterns(&["*"]),
                groups: patterns(&["admins"]),
                scopes: vec!["read".to_owned(), "write".to_owned()],
                ..Rule::default()
            },
            Rule {
                callers: patterns(&["robot-*"]),
                resources: patterns(&["file:///*"]),
                prompts: patterns(&["p"]),
                ..Rule::default()
            },
        ],
        ..Access::default()
    }
}

// REQ: A-4
#[test]
fn decisions() {
    use Decision::{Allowed, Denied};
    let access = access();
    let scopes =
        |names: &[&str]| Decision::Scopes(names.iter().map(|name| (*name).to_owned()).collect());
    let (alice, reader) = (caller("alice", &[], &[]), caller("bob", &["read"], &[]));
    let admin = caller("carol", &["read", "write"], &["users", "admins"]);
    let half = caller("dan", &["read"], &["admins"]);
    let robot = caller("robot-7", &[], &[]);
    for (who, item, expected) in [
        (&alice, Item::Tool("read_file"), scopes(&["read"])),
        (&alice, Item::Tool("delete"), Denied),
        (&alice, Item::Resource("file:///a"), Denied),
        (&reader, Item::Tool("read_file"), Allowed),
        (&reader, Item::Tool("delete"), Denied),
        (&reader, Item::Tool("READ_file"), Denied),
        (&admin, Item::Tool("delete"), Allowed),
        (&half, Item::Tool("delete"), scopes(&["read", "write"])),
        (&robot, Item::Resource("file:///a"), Allowed),
        (&robot, Item::Resource("http://a"), Denied),
        (&robot, Item::Prompt("p"), Allowed),
        (&robot, Item::Prompt("q"), Denied),
        (&robot, Item::Tool("p"), Denied),
        (&robot, Item::Other, Denied),
    ] {
        assert_eq!(access.decide(who, item), expected, "{} {item:?}", who.id());
    }
    let everything = Access {
        rules: vec![Rule::default()],
        ..Access::default()
    };
    for access in [Access::default(), everything] {
        for item in [
            Item::Other,
            Item::Tool("x"),
            Item::Prompt("x"),
            Item::Resource("x"),
        ] {
            assert_eq!(access.decide(&alice, item), Allowed);
        }
    }
}

fn filter(who: Caller) -> filter::Filter {
    filter::Filter::new(Arc::new(access()), Arc::new(who))
}

// REQ: A-4
#[test]
fn lists_are_filtered_and_the_rest_stays() {
    let reader = || filter(caller("bob", &["read"], &[]));
    for (message, expected) in [
        (
            r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"read_a"},{"name":"delete"}]}}"#,
            Some(
                r#"{"jsonrpc":"2.0","id":1,"result":{"cacheScope":"private","tools":[{"name":"read_a"}]}}"#,
            ),
        ),
        (
            r#"{"result": {"cacheScope":"public", "tools" : [ {"name":"x", "title":"read_a"} ], "nextCursor":"n"}}"#,
            Some(r#"{"result": {"cacheScope":"private", "tools" : [], "nextCursor":"n"}}"#),
        ),
        // A name that is written otherwise is the same name.
        (
            r#"{"result":{"tools":[{"name":"\u0072ead_a"},{"name":7},"read_a",{}],"cacheScope":"private"}}"#,
            Some(r#"{"result":{"tools":[{"name":"\u0072ead_a"}],"cacheScope":"private"}}"#),
        ),
        (
            r#"[{"result":{"prompts":[{"name":"p"}],"cacheScope":"x"}},{"id":2,"result":{}}]"#,
            Some(r#"[{"result":{"prompts":[],"cacheScope":"private"}},{"id":2,"result":{}}]"#),
        ),
        (
            r#"{"id":1,"result":{"content":[{"tools":[1]}]}}"#,
            Some(r#"{"id":1,"result":{"content":[{"tools":[1]}]}}"#),
        ),
        (r#"{"error":{"code":1}}"#, Some(r#"{"error":{"code":1}}"#)),
        // Two readers could take either.
        (
            r#"{"result":{"tools":[],"tools":[{"name":"delete"}]}}"#,
            None,
        ),
        (
            r#"{"result":{"tools":[{"name":"read_a","name":"delete"}]}}"#,
            None,
        ),
        (r#"{"result":{"tools":[]}} x"#, None),
        ("", None),
    ] {
        assert_eq!(reader().message(message).as_deref(), expected, "{message}");
    }
    let robot = filter(caller("robot-1", &[], &[]));
    let resources = r#"{"result":{"resources":[{"uri":"file:///a","name":"b"},{"uri":"db:///a","name":"file:///x"}],"cacheScope":"a"}}"#;
    assert_eq!(
        robot.message(resources).unwrap(),
        r#"{"result":{"resources":[{"uri":"file:///a","name":"b"}],"cacheScope":"private"}}"#
    );
}

// REQ: A-4
#[tokio::test]
async fn events_are_filtered_wherever_they_are_cut() {
    use bytes::Bytes;
    use http_body_util::BodyExt as _;
    let stream = concat!(
        ": comment\n\n",
        "event: message\r\nid: 1\r\ndata: {\"id\":1,\"result\":{\"tools\":[{\"name\":\"read_a\"},\r\ndata: {\"name\":\"delete\"}]}}\r\n\r\n",
        "data: {\"method\":\"notifications/x\"}\n\n",
        "event: endpoint\ndata: /mcp?sessionId=1\n\n",
        "data:{\"result\":{\"tools\":[}}\n\n",
        "data: {\"result\":{\"tools\":[{\"name\":\"delete\"}]}}",
    );
    let expected = concat!(
        ": comment\n\n",
        "event: message\nid: 1\ndata: {\"id\":1,\"result\":{\"cacheScope\":\"private\",\"tools\":[{\"name\":\"read_a\"}]}}\n\n",
        "data: {\"method\":\"notifications/x\"}\n\n",
        "event: endpoint\ndata: /mcp?sessionId=1\n\n",
        "data: {\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32603,\"message\":\"the list could not be filtered\"}}\n\n",
    );
    for size in [1, 2, 3, 7, 1000] {
        let chunks = stream.as_bytes().chunks(size);
        let body = Chunks(chunks.map(Bytes::copy_from_slice).collect());
        let filtered = Filtered::events(body, filter(caller("bob", &["read"], &[])));
        let all = filtered.collect().await.unwrap().to_bytes();
        assert_eq!(std::str::from_utf8(&all).unwrap(), expected, "{size}");
    }
}

/// A body of these frames, ready at once.
struct Chunks(std::collections::VecDeque<bytes::Bytes>);

impl http_body::Body for Chunks {
    type Data = bytes::Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<bytes::Bytes>, Self::Error>>> {
        let next = self.0.pop_front();
        std::task::Poll::Ready(next.map(|data| Ok(http_body::Frame::data(data))))
    }
}
