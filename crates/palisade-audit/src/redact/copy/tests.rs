//! What the walk does, as tables.

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::redact::policy::{Redactor, ToolPolicy};

fn json(input: &str) -> String {
    let mut out = Vec::new();
    copy(
        input.as_bytes(),
        &mut out,
        &mut Scratch::default(),
        &Masker::PLAIN,
        &[],
    )
    .unwrap();
    String::from_utf8(out).unwrap()
}

/// Lines with their secrets between `‹` and `›`: each goes, all else stays, byte for byte.
fn check(lines: &[&str]) {
    let mut faults = Vec::new();
    for line in lines {
        let mut expected = String::new();
        for (at, part) in line.split(['‹', '›']).enumerate() {
            expected.push_str(if at % 2 == 0 { part } else { "[REDACTED]" });
        }
        let input = line.replace(['‹', '›'], "");
        for input in [&input, &expected] {
            if json(input) != expected {
                faults.push(format!("{input}\n  -> {}", json(input)));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// What an object says counts for it alone, however deep others lie in it.
// REQ: L-2
#[test]
fn levels() {
    check(&[
        r#"{"name":"password","x":{"value":"bob"},"value":"‹hunter2›"}"#,
        r#"{"name":"password","x":[[{}]],"value":"‹hunter2›"}"#,
        r#"{"name":"password","x":{"name":"title","value":"bob"},"value":"‹hunter2›"}"#,
        r#"[{"name":"password"},{"value":"hunter2"}]"#,
        r#"{"x":{"name":"password"},"value":"hunter2"}"#,
        r#"{"tokens":{"a":{"b":"‹k7Qz3xZ9›"},"c":"‹k8Qz3xZ9›"},"d":"k9Qz3xZ9"}"#,
        r#"{"tokens":[["‹k7Qz3xZ9›"],"‹k8Qz3xZ9›"],"d":"k9Qz3xZ9"}"#,
        r#"{"ssn":{"a":["‹219099999›"],"c":"‹219099998›"},"d":"219099997"}"#,
        r#"{"value":"‹hunter2›","x":{"name":"title"},"name":"password"}"#,
        r#"{"value":"‹hunter2›","x":{},"name":"password"}"#,
        r#"[{"value":"hunter2"},{"name":"password"}]"#,
        r#"{"value":"a","x":{"value":"‹hunter2›","name":"password"}}"#,
        r#"{"properties":{"password":{"type":"string","title":"A","default":"‹hunter2›"}},"password":"‹hunter2›"}"#,
        r#"{"properties":{"a":{"properties":{"password":{"type":"string","minLength":8}}}},"token":"‹abc›"}"#,
    ]);
    assert_eq!(
        json(r#"{"properties":1,"password":{"y":1},"z":2}"#),
        r#"{"properties":1,"password":"[REDACTED]","z":2}"#
    );
    assert_eq!(
        json(r#"{"a":{"password":[{"x":[1]},2]},"z":[3]}"#),
        r#"{"a":{"password":"[REDACTED]"},"z":[3]}"#
    );
    // Empty containers hold nothing.
    for input in [
        r#"{"password":{ },"a":{"token":[]}}"#,
        r#"{"tokens":[],"a":"k7Qz3xZ9"}"#,
        r#"{"tokens":{},"a":"k7Qz3xZ9"}"#,
    ] {
        assert_eq!(json(input), input);
    }
}

// REQ: L-2
#[test]
fn keys_that_are_secrets() {
    assert_eq!(
        json(r#"{"a@b.co":1,"c@d.co":2,"x":3,"e@f.co":4}"#),
        r#"{"[REDACTED]":1,"[REDACTED#2]":2,"x":3,"[REDACTED#3]":4}"#
    );
    let token = "ghp_abcdefghijklmnopqrstuvwxyz0123456789";
    let other = "ghp_abcdefghijklmnopqrstuvwxyz0123456788";
    let shown = json(&format!(r#"{{"{token}":1,"a@b.co":2,"{other}":3}}"#));
    assert!(
        shown.contains(r#","[REDACTED]":2,"#) && !shown.contains('#'),
        "{shown}"
    );
    // Values are not told apart.
    check(&[r#"{"a":"‹a@b.co›","b":"‹c@d.co›"}"#]);
}

/// What stands beside a value in an array.
// REQ: L-2
#[test]
fn arrays() {
    let far = "x".repeat(200);
    check(&[
        r#"["mysql","-p‹hunter2›"]"#,
        r#"["mysql","-p‹1›"]"#,
        r#"["mysql","-p"]"#,
        r#"["-p‹hunter2›","mysql"]"#,
        r#"["mysql","-p","hunter2"]"#,
        &format!(r#"["-phunter2","{far}","mysql"]"#),
        &format!(r#"["-p‹hunter2›","{}","mysql"]"#, "x".repeat(90)),
        &format!(r#"["mysql","{far}","-p‹hunter2›"]"#),
        &format!(r#"["mysql","{far}{far}","-phunter2"]"#),
        r#"{"mysql":"-phunter2"}"#,
        r#"["mysql",{"a":"-phunter2"}]"#,
        r#"["sshpass","-p","‹hunter2›"]"#,
        r#"["sshpass", "-p" , "‹hunter2›"]"#,
        r#"["sshpass","-p","-hunter2"]"#,
        r#"["sshpass","-p",12]"#,
        r#"["sshpass","-v","hunter2"]"#,
        r#"["sshpass","p","hunter2"]"#,
        &format!(r#"["sshpass","{far}","-p","‹hunter2›"]"#),
        &format!(r#"["sshpass","{far}{far}","-p","hunter2"]"#),
        r#"["--password","‹hunter2›"]"#,
        r#"["--password","--verbose"]"#,
        r#"["--password"]"#,
        r#"{"--x":"--password","y":"hunter2"}"#,
        r#"["AUTH","‹letmein›"]"#,
        r#"["AUTH","bob","‹letmein›"]"#,
        r#"["AUTH", "bob", "‹letmein›"]"#,
        r#"["AUTH","bob","‹letmein›","x"]"#,
        r#"["auth","letmein"]"#,
        r#"["x","bob","letmein"]"#,
        r#"["X-Api-Key","‹k7Qz3xZ9›"]"#,
        r#"["X-Api-Key","Accept"]"#,
        r#"["Authorization","‹Bearer abc›"]"#,
        r#"["Cookie","‹a=b›"]"#,
        r#"["api key","k7Qz3xZ9"]"#,
        r#"["x-api key","k7Qz3xZ9"]"#,
        r#"[["password","‹hunter2›"],["user","bob"]]"#,
        r#"[ [ "password" , "‹hunter2›" ] , [ "user" , "bob" ] ]"#,
        r#"["password","hunter2"]"#,
        r#"{"a":["password","hunter2"]}"#,
        r#"[["x","password","hunter2"]]"#,
        r#"[["password","hunter2","x"]]"#,
        r#"[["password","user"]]"#,
        r#"[["password","email"],["x","y"]]"#,
        r#"[{"a":["password","hunter2"]}]"#,
    ]);
    // A string that is no element is a command.
    assert_eq!(
        json(r#""-phunter2 mysql -x""#),
        r#""-p[REDACTED] mysql -x""#
    );
}

/// Names of columns, and what stands in them.
// REQ: L-2
#[test]
fn tables() {
    check(&[
        r#"{"columns":["user","password"],"rows":[["bob","‹hunter2›"],["eve","‹hunter3›"]]}"#,
        r#"{ "columns" : [ "user" , "password" ] , "rows" : [ [ "bob" , "‹hunter2›" ] , [ "eve" , "‹hunter3›" ] ] }"#,
        r#"{"columns":["user","password"],"rows":[["bob","‹hunter2›"]],"x":[["a","hunter4"]],"data":[["b","‹hunter5›"]]}"#,
        r#"{"columns":["password","x"],"rows":[["‹hunter2›","hunter3"],["‹hunter4›"]]}"#,
        r#"{"columns":["user","password"],"values":["bob","‹hunter2›"]}"#,
        r#"{"columns":["user","password"],"values":["bob","‹hunter2›","hunter3"],"y":["bob","hunter2"]}"#,
        r#"{"columns":["user","password"],"rows":[{"a":"x","b":"hunter2"}]}"#,
        r#"{"head":["user","password"],"body":[["bob","‹hunter2›"]]}"#,
        r#"{"head":["user","password"],"x":{"body":[["bob","hunter2"]]}}"#,
        r#"{"body":[["bob","hunter2"]]}"#,
        r#"{"name":"password","body":["‹hunter2›"]}"#,
        r#"{"columns":["user","password"],"rows":[["bob",["hunter2","x"],"hunter3"]]}"#,
        r#"{"columns":["user","password"],"rows":[["bob",null],["bob",""],["bob","abc"],["eve","‹abcd›"]]}"#,
        r#"{"columns":["user","password"],"rows":[[["a","b"],"‹hunter2›"]]}"#,
        r#"{"columns":["id","token"],"rows":[["1","abcdef"],["2","‹abcde1›"],["3","abcd1"]]}"#,
        r#"{"columns":["id","ssn"],"rows":[["1","‹219099999›"],["2","none"]]}"#,
        r#"{"x":{"columns":["user","password"]},"rows":[["bob","hunter2"]]}"#,
        r#"{"columns":["user","password"],"x":{"rows":[["bob","hunter2"]]}}"#,
        r#"{"columns":["user","password"],"x":{"y":[]},"rows":[["bob","‹hunter2›"]]}"#,
        r#"{"columns":["a","b"],"rows":[["bob","hunter2"]]}"#,
        r#"{"columns":[{"name":"user"},{"type":"string","name":"password"}],"rows":[["bob","‹hunter2›"]]}"#,
        r#"{"columns":[{"name":"user","t":[1]},{"t":{"k":1},"n":2,"name":"password"}],"rows":[["bob","‹hunter2›"]]}"#,
        r#"{"columns":[{"name":"user","type":"password"}],"rows":[["hunter2"]]}"#,
        r#"{"columns":[["password"]],"rows":[["hunter2"]]}"#,
        r#"{"columns":["a",1,"password"],"rows":[["a","b","hunter2"]]}"#,
        r#"{"rows":[["bob","‹hunter2›"]],"columns":["user","password"]}"#,
        r#"{"rows":[["bob","‹hunter2›"]],"x":{"name":"a"},"columns":["user","password"],"data":[["bob","‹hunter3›"]]}"#,
        r#"{"x":{"rows":[["bob","hunter2"]]},"columns":["user","password"]}"#,
        r#"{"rows":["bob","hunter2"],"columns":["user","password"]}"#,
        r#"{"rows":[["bob","‹a@b.co›"]],"columns":["user","password"]}"#,
        r#"[["user","password"],["bob","‹hunter2›"],["eve","‹hunter3›"]]"#,
        r#"{"columns":["name","type"],"rows":[["password","varchar"],["token","uuid1"]]}"#,
        r#"{"columns":["name","Data_Type"],"rows":[["password","varchar"]],"x":[["password","‹hunter2›"]]}"#,
        r#"{"columns":["name","value"],"rows":[["password","‹hunter2›"]]}"#,
        r#"{"columns":["user","pass\u0077ord"],"rows":[["bob","‹hunter2›"]]}"#,
        r#"{"columns":["user","\u5bc6\u7801"],"rows":[["bob","‹hunter2›"]]}"#,
        r#"{"columns":["user","密码"],"rows":[["bob","‹hunter2›"]]}"#,
        r#"{"value":"‹hunter2›","rows":[["bob","‹hunter3›"]],"name":"password","columns":["user","password"]}"#,
        r#"{"value":"‹hunter2 and more of it›","rows":[["bob","‹hunter3›"]],"name":"password","columns":["user","password"]}"#,
        r#"{"rows":[["bob","‹hunter3›"]],"value":"‹hunter2›","name":"password","columns":["user","password"]}"#,
        r#"{"rows":[["bob","‹hunter3›"]],"value":"‹hunter2›","columns":["user","password"],"name":"password"}"#,
        r#"{"name":"密码","value":"‹hunter2›"}"#,
        r#"{"name":"auth","value":"enabled"}"#,
        r#"{"name":"my x-auth","value":"enabled"}"#,
        r#"{"name":"X-Hub-Signature","value":"‹sha1=enabled›"}"#,
        r#"{"name":"the new password","value":"‹hunter2›"}"#,
        r#"{"name":"the very new password","value":"‹hunter2›"}"#,
        r#"{"name":"not the very new password","value":"hunter2"}"#,
        r#"{"name":"api token","value":"‹hunter2›"}"#,
        r#"{"name":"the api token","value":"hunter2"}"#,
        r#"{"name":"user phone number","value":"‹hunter2›"}"#,
        r#"{"name":"the user phone number","value":"hunter2"}"#,
        r#"{"name":"Password field","value":"‹hunter2›"}"#,
        r#"{"name":"not the very new password field","value":"hunter2"}"#,
        r#"{"name":"\u5bc6\u7801","value":"‹hunter2›"}"#,
        r#"{"value":"‹hunter2›","name":"Contraseña"}"#,
        r#"{"columns":["type","name"],"rows":[["password","‹hunter2›"]]}"#,
        r#"[["column","type"],["password","varchar"]]"#,
        r#"{"rows":[["password","varchar"]],"columns":["name","type"]}"#,
        r#"{"x":[["id","user","password"],["1","bob","‹hunter2›"]],"y":[["1","bob","hunter2"]]}"#,
        r#"[["id","password","x"],[1,"‹hunter2›",[2,"hunter3"]],[1,"‹hunter4›"]]"#,
        r#"[["a","password"],["bob","hunter2"]]"#,
        r#"["user","password",["bob","hunter2"]]"#,
        r#"{"x":["user","password"],"y":["bob","hunter2"]}"#,
        r#"[["password"],["hunter2"]]"#,
    ]);
    for (input, expected) in [
        (
            r#"{"columns":["id","pin"],"rows":[[1,482913],[2,13]]}"#,
            r#"{"columns":["id","pin"],"rows":[[1,"[REDACTED]"],[2,13]]}"#,
        ),
        (
            r#"{"columns":["id","password"],"rows":[[1,12345678],[2,13]]}"#,
            r#"{"columns":["id","password"],"rows":[[1,"[REDACTED]"],[2,13]]}"#,
        ),
        (
            r#"{"names":["id","password"],"values":[1234,12345678]}"#,
            r#"{"names":["id","password"],"values":[1234,12345678]}"#,
        ),
    ] {
        assert_eq!(json(input), expected);
    }
    // No column has so long a name.
    for (length, goes) in [(80, true), (100, false)] {
        let name = "x".repeat(length);
        let input =
            format!(r#"{{"columns":["user","{name}_password"],"rows":[["bob","hunter2"]]}}"#);
        assert_eq!(json(&input) != input, goes, "{length}");
    }
    // Inside a text they count as well, but only behind their names; keys are counted anew.
    check(&[
        r#"{"t":"{\"columns\":[\"user\",\"password\"],\"rows\":[[\"bob\",\"‹hunter2›\"]]}"}"#,
        r#"{"t":"{\"rows\":[[\"bob\",\"hunter2\"]],\"columns\":[\"user\",\"password\"]}"}"#,
    ]);
    assert_eq!(
        json(r#"{"rows":[["x",{"a@b.co":"hunter2"}]],"columns":["user","password"],"c@d.co":1}"#),
        r#"{"rows":[["x",{"[REDACTED]":"hunter2"}]],"columns":["user","password"],"[REDACTED#2]":1}"#
    );
    // What is let stay is let stay when it is read again.
    let redactor = Redactor::new().everywhere(ToolPolicy::allow(["/rows"]).unwrap());
    let input = r#"{"rows":[["bob","hunter2"]],"columns":["user","password"],"password":"x1"}"#;
    let mut out = Vec::new();
    redactor.json(None, input.as_bytes(), &mut out);
    assert_eq!(
        String::from_utf8(out).unwrap(),
        input.replace("\"x1\"", "\"[REDACTED]\"")
    );
}

/// Rows are read again at most once each, whatever follows them.
#[test]
fn tables_are_linear() {
    let rows = format!("[{}]", vec![r#"["bob","hunter2"]"#; 50].join(","));
    let pair = format!(r#""rows":{rows},"columns":["user","password"]"#);
    let input = format!("{{{}}}", vec![pair; 20].join(","));
    let shown = json(&input);
    assert!(!shown.contains("hunter2"), "{shown}");
    // Rows in rows: the innermost of many are not read again.
    let nested = |depth: usize| {
        (0..depth).fold(String::from("1"), |inner, _| {
            format!(r#"{{"rows":[["bob",{inner},"hunter2"]],"columns":["user","x","password"]}}"#)
        })
    };
    for (depth, inner) in [(1, 1), (2, 1), (2, 4_000), (20, 1)] {
        let input = nested(depth).replacen(
            "\"bob\",1,",
            &format!("\"bob\",\"{}\",", "x".repeat(inner)),
            1,
        );
        let (mut out, mut scratch) = (Vec::new(), Vec::new());
        let mut copier = Copier::new(input.as_bytes(), &mut out, &mut scratch, &Masker::PLAIN);
        copier.document().unwrap();
        assert!(copier.again > 0 && copier.again <= 2 * input.len());
        let shown = String::from_utf8(out).unwrap();
        assert_eq!(shown.contains("hunter2"), depth == 20, "{shown}");
    }
}

// REQ: L-2
#[test]
fn phrases() {
    let words = ["legal"; 12];
    let array = format!("[\"{}\"]", words.join("\",\""));
    assert_eq!(
        json(&format!("{{\"mnemonic\":{array},\"a\":1}}")),
        "{\"mnemonic\":\"[REDACTED]\",\"a\":1}"
    );
    for input in [
        r#"{"mnemonic":["a","b","c","d","e","f","g","h","i"]}"#,
        r#"{"mnemonic":"ADD","a":[1,2,3,4,5,6,7,8,9,10]}"#,
        r#"{"mnemonic":["ADD"],"a":[1,2,3,4,5,6,7,8,9,10,11]}"#,
    ] {
        assert_eq!(json(input), input);
    }
    check(&[&format!(r#"{{"mnemonic":"‹{}›"}}"#, words.join(" "))]);
    // Words are short.
    let long = format!(
        "{{\"mnemonic\":[\"{}\"]}}",
        vec!["x".repeat(40); 12].join("\",\"")
    );
    assert_eq!(json(&long), long);
}

#[test]
fn ends_of_scalars() {
    use super::beside::scalar_end;
    for (text, start, end) in [
        (r#""a" x"#, 0, Some(3)),
        (r#" "a" x"#, 1, Some(4)),
        (r#""a\"b" x"#, 0, Some(6)),
        (r#""a\\" x"#, 0, Some(5)),
        (r#""\"\"" x"#, 0, Some(6)),
        (r#""abcdefgh\n" x"#, 0, Some(12)),
        (r#""a"#, 0, None),
        (r#""a\"#, 0, None),
        (r#""a\""#, 0, None),
        (r#""""#, 0, Some(2)),
        ("12.5e+3,", 0, Some(7)),
        ("[-1]", 1, Some(3)),
        ("12", 0, Some(2)),
        ("true}", 0, Some(4)),
        ("1", 2, None),
    ] {
        assert_eq!(scalar_end(text.as_bytes(), start), end, "{text}");
    }
}

/// Numbers: what is too great for a float becomes a string, everything else stays as it is spelt.
#[test]
fn numbers() {
    let nines = "9".repeat(308);
    for input in [
        "-0",
        "-1.5e+3",
        "1E-9",
        "0.5",
        "4111111111111112",
        "-4111111111111111",
        "4111111111111111.0",
        nines.as_str(),
    ] {
        assert_eq!(json(input), input);
    }
    assert_eq!(json("4111111111111111"), "\"[REDACTED]\"");
    assert_eq!(json("1e400"), "\"1e400\"");
    assert_eq!(json("[1e400,1]"), "[\"1e400\",1]");
    let mut out = Vec::new();
    for input in ["-", "01", "1.", "1.e3", "1e", "1e+", "-a", ".5", "1e+-3"] {
        let done = copy(
            input.as_bytes(),
            &mut out,
            &mut Scratch::default(),
            &Masker::PLAIN,
            &[],
        );
        assert_eq!(done.err(), Some(Refused::Invalid), "{input}");
    }
}

#[test]
fn what_is_refused() {
    for input in [
        b"\"\x80\"".as_slice(),
        b"\"\xc3\"",
        b"\"\x1f\"",
        b"\"a\x00\"",
        b"\"\\ud800x\"",
        b"\"\\ud800\\n\"",
        b"\"\\ud800\\u0041\"",
        b"\"\\udbff\\ue000\"",
        b"\"\\ud800\\udbff\"",
        b"\"\\udc00\"",
        b"\"\\udfff\"",
        b"\"\\u12g4\"",
        b"\"\\u123",
        b"\"\\",
        b"\"",
        b"[1}",
        b"{\"a\":1]",
        b"{\"a\":1,}",
        b"{\"a\"}",
        b"{1:1}",
        b"tru",
        b"nulL",
        b"falsE",
        b"1 1",
    ] {
        let mut out = Vec::new();
        let done = copy(
            input,
            &mut out,
            &mut Scratch::default(),
            &Masker::PLAIN,
            &[],
        );
        assert_eq!(done.err(), Some(Refused::Invalid), "{input:?}");
    }
    for input in [
        "\"\\ud800\\udc00\"",
        "\"\\udbff\\udfff\"",
        "\"\\ud7ff\\ue000\"",
        "\"\u{80}\u{7ff}\u{ffff}\u{10ffff}\"",
        "[true,false,null]",
        " 1 ",
    ] {
        json(input);
    }
}

/// Whether anything was replaced.
#[test]
fn says_whether_it_changed() {
    for (input, changed) in [
        (r#"{"a":1}"#, false),
        ("{\n\"a\":1}", false),
        ("[1e999]", false),
        ("\"\u{202e}\"", false),
        (r#"{"password":"x1"}"#, true),
        (r#"{"password":{"a":1}}"#, true),
        (r#"["a@b.co"]"#, true),
        (r#"{"a@b.co":1}"#, true),
        (r#"["mysql","-phunter2"]"#, true),
        (r#"{"value":"hunter2","name":"password"}"#, true),
        (r#"{"value":"","name":"password"}"#, false),
        (
            r#"{"value":"hunter2","rows":[["bob",""]],"name":"password","columns":["user","password"]}"#,
            true,
        ),
        (
            r#"{"rows":[["bob",""]],"columns":["user","password"]}"#,
            false,
        ),
        (
            r#"{"rows":[["bob","hunter2"]],"columns":["user","password"]}"#,
            true,
        ),
        ("4111111111111111", true),
        (r#"{"t":"{\"password\":\"hunter2\"}"}"#, true),
    ] {
        let mut out = Vec::new();
        let done = copy(
            input.as_bytes(),
            &mut out,
            &mut Scratch::default(),
            &Masker::PLAIN,
            &[],
        );
        assert_eq!(done, Ok(changed), "{input}");
    }
}

/// What must not be shown raw, in strings of every kind.
#[test]
fn what_is_shown() {
    for (input, expected) in [
        ("\"a\u{202e}b\"", r#""a\u202eb""#),
        ("\"a\u{202e}b@c.co d\"", r#""a\u202e[REDACTED] d""#),
        ("{\"a\u{202e}\":1}", r#"{"a\u202e":1}"#),
        ("[\"\\n\u{202e}\"]", r#"["\n\u202e"]"#),
        (
            "[\"\\n\u{202e} b@c.co\u{202e}\"]",
            r#"["\n\u202e [REDACTED]\u202e"]"#,
        ),
        (
            "{\"password\":null,\"a\":\"\u{7f}\"}",
            r#"{"password":null,"a":"\u007f"}"#,
        ),
    ] {
        assert_eq!(json(input), expected);
    }
    let redactor = Redactor::new().everywhere(ToolPolicy::allow([""]).unwrap());
    let mut out = Vec::new();
    redactor.json(None, "\"\u{202e}a@b.co\"".as_bytes(), &mut out);
    assert_eq!(String::from_utf8(out).unwrap(), r#""\u202ea@b.co""#);
}

/// Values with the names that say what stands beside them, in any order.
fn tabular() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        prop::sample::select(vec![
            "password",
            "user",
            "bob",
            "hunter2",
            "type",
            "name",
            "",
            "a@b.co",
            "k7Qz3xZ9mN2p",
            "-p",
            "mysql",
            "密码",
            "\u{202e}x",
        ])
        .prop_map(Value::from),
        (0..20_000_000_u32).prop_map(Value::from),
        Just(Value::Null),
    ];
    leaf.prop_recursive(6, 60, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec(
                (
                    prop::sample::select(vec![
                        "columns", "rows", "data", "values", "name", "value", "password", "tokens",
                        "body", "head", "fields", "email", "a@b.co",
                    ]),
                    inner
                ),
                0..6
            )
            .prop_map(|members| Value::Object(
                members
                    .into_iter()
                    .map(|(key, value)| (key.to_owned(), value))
                    .collect()
            )),
        ]
    })
}

/// The same containers with as many elements, but for those that a mask has taken the place of.
fn alike(before: &Value, after: &Value) -> bool {
    match (before, after) {
        (Value::Array(before), Value::Array(after)) => {
            before.len() == after.len() && before.iter().zip(after).all(|(a, b)| alike(a, b))
        }
        (Value::Object(before), Value::Object(after)) => {
            before.len() == after.len()
                && before
                    .iter()
                    .filter_map(|(key, value)| Some((value, after.get(key)?)))
                    .all(|(a, b)| alike(a, b))
        }
        (Value::Null, Value::Null) => true,
        (Value::Null, _) => false,
        (_, Value::String(after)) => {
            after.contains("[REDACTED") || before.as_str() == Some(after.as_str())
        }
        _ => before == after,
    }
}

proptest! {
    // REQ: L-2
    #[test]
    fn tables_stay_tables(value in tabular(), pretty in any::<bool>()) {
        let input = if pretty { serde_json::to_string_pretty(&value).unwrap() } else { value.to_string() };
        let once = json(&input);
        let parsed: Value = serde_json::from_str(&once).unwrap();
        prop_assert!(alike(&value, &parsed), "{input}\n{once}");
        prop_assert_eq!(json(&once), once);
        let text = Value::from(input).to_string();
        let once = json(&text);
        let parsed: String = serde_json::from_str(&once).unwrap();
        let parsed: Value = serde_json::from_str(&parsed).unwrap();
        prop_assert!(alike(&value, &parsed), "{text}\n{once}");
    }
}
