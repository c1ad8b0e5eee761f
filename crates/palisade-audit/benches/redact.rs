//! How fast redaction is: `cargo bench -p palisade-audit --bench redact`.
//!
//! Prints the median for a JSON object of one KiB, then megabytes a second for each class of input, hostile ones included;
//! ends with 1 if one of them is slower than 50 MB/s, or the median above 3 µs. `-- TEXT` runs the classes whose name holds it.
#![allow(clippy::print_stdout, reason = "a benchmark's output")]

use std::hint::black_box;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use palisade_audit::{redact_json, redact_text};

const SLOWEST: f64 = 50.0;
const MEDIAN: Duration = Duration::from_micros(3);

fn main() -> ExitCode {
    let mut ok = true;
    let only = std::env::args()
        .skip(1)
        .find(|argument| !argument.starts_with('-'));
    let wanted = |name: &str| {
        only.as_ref()
            .is_none_or(|part| name.contains(part.as_str()))
    };
    let object = object();
    let mut times: Vec<Duration> = (0..20_000)
        .map(|_| {
            let mut out = Vec::with_capacity(2048);
            // Half of so many are disturbed by nobody, and the clock on the wall is the cheaper one to read.
            let start = Instant::now();
            redact_json(black_box(object.as_bytes()), &mut out);
            black_box(&out);
            start.elapsed()
        })
        .collect();
    times.sort_unstable();
    let (half, most) = (times[times.len() / 2], times[times.len() * 99 / 100]);
    println!(
        "object of {} bytes: p50 {half:?}, p99 {most:?}",
        object.len()
    );
    ok &= half <= MEDIAN;

    for (name, text) in classes().into_iter().filter(|(name, _)| wanted(name)) {
        let json = format!("{{\"text\":{}}}", quoted(&text));
        let as_json = speed(json.len(), || {
            let mut out = Vec::with_capacity(json.len() * 2);
            redact_json(black_box(json.as_bytes()), &mut out);
            black_box(out);
        });
        let as_text = speed(text.len(), || {
            black_box(redact_text(black_box(&text)));
        });
        let slow = as_json.min(as_text) < SLOWEST;
        ok &= !slow;
        let mark = if slow { "  SLOW" } else { "" };
        println!("{name:<34} json {as_json:>7.0} MB/s   text {as_text:>7.0} MB/s{mark}");
    }
    for (name, json) in documents().into_iter().filter(|(name, _)| wanted(name)) {
        let as_json = speed(json.len(), || {
            let mut out = Vec::with_capacity(json.len() * 2);
            redact_json(black_box(json.as_bytes()), &mut out);
            black_box(out);
        });
        ok &= as_json >= SLOWEST;
        let mark = if as_json < SLOWEST { "  SLOW" } else { "" };
        println!("{name:<34} json {as_json:>7.0} MB/s{mark}");
    }
    ExitCode::from(u8::from(!ok))
}

/// Tables, with the names of their columns before and behind the rows, and one in the other.
fn documents() -> Vec<(&'static str, String)> {
    let row = r#"["bob","4711","hunter2"],"#;
    let rows = format!(r#""rows":[{}["eve"]]"#, row.repeat(4_000));
    let columns = r#""columns":["user","id","password"]"#;
    let nested = (0..20).fold(String::from("1"), |inner, _| {
        format!(
            r#"{{"rows":[{}["bob",{inner}]],{columns}}}"#,
            row.repeat(200)
        )
    });
    vec![
        ("columns, rows", format!("{{{columns},{rows}}}")),
        ("rows, columns", format!("{{{rows},{columns}}}")),
        ("rows in rows", nested),
        (
            "names in the first row",
            format!(r#"[["user","id","password"],{}[]]"#, row.repeat(4_000)),
        ),
        (
            "names only",
            format!("[{}{{}}]", format!("{{{columns}}},").repeat(4_000)),
        ),
    ]
}

/// The CPU time of this thread: others have the machine as well.
fn now() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
}

/// Of the best of some runs.
fn speed(length: usize, mut run: impl FnMut()) -> f64 {
    let mut best = Duration::MAX;
    for _ in 0..100 {
        let start = now();
        run();
        best = best.min(now() - start);
    }
    length as f64 / best.as_secs_f64() / 1e6
}

fn object() -> String {
    let mut object = String::from(
        r#"{"query":"quarterly report on customer churn in the northern region","limit":25,"offset":0,"sort":"updated_at","filters":{"status":["open","pending"],"owner":"550e8400-e29b-41d4-a716-446655440000","createdAfter":"2026-01-31T00:00:00Z","archived":false},"max_tokens":1024,"path":"/srv/reports/2026/q1/summary.md","content":""#,
    );
    while object.len() < 960 {
        object.push_str("The committee met on Tuesday and agreed that nothing had to change. ");
    }
    object.push_str("\",\"encoding\":\"utf-8\",\"version\":\"1.4.2\"}");
    object
}

fn classes() -> Vec<(String, String)> {
    const SIZE: usize = 1 << 15;
    let mut classes = vec![
        ("prose".to_owned(), "The committee met on Tuesday and agreed that nothing had to change. ".repeat(SIZE / 68)),
        ("source code".to_owned(), "    let token = lexer.next(); // the token's kind\n    if token.kind == Kind::Number { value = parse(token.text)?; }\n".repeat(SIZE / 114)),
        ("base64".to_owned(), "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6".repeat(SIZE / 80)),
        ("hexadecimal".to_owned(), "da39a3ee5e6b4b0d3255bfef95601890afd80709 ".repeat(SIZE / 41)),
        ("uuids".to_owned(), "550e8400-e29b-41d4-a716-446655440000 ".repeat(SIZE / 37)),
        ("log lines".to_owned(), "2026-01-31 12:00:00,123 INFO [main] com.example.Foo - served GET /api/v1/users?page=2 in 12ms\n".repeat(SIZE / 95)),
        ("json in a string".to_owned(), format!("[{}1]", "{\"id\":12,\"name\":\"some name\",\"tags\":[\"a\",\"b\"],\"at\":\"2026-01-31T12:00:00Z\"},".repeat(SIZE / 77))),
        ("json thrice in strings".to_owned(), {
            let once = quoted(&format!("[{}1]", "{\"id\":12,\"name\":\"some name\",\"ok\":true},".repeat(SIZE / 160)));
            format!("[{}]", quoted(&format!("[{once}]")))
        }),
        ("unicode".to_owned(), "Grüße aus Köln, 日本語のテキスト 😀 ".repeat(SIZE / 48)),
        ("secrets only".to_owned(), "ghp_abcdefghijklmnopqrstuvwxyz0123456789 a@example.com 4111111111111111 password=hunter2 ".repeat(SIZE / 90)),
        ("nested brackets".to_owned(), "[".repeat(SIZE)),
        ("nested objects".to_owned(), "{\"a\":".repeat(SIZE / 5)),
    ];
    for unit in [
        "a.a.a@",
        "a@",
        "@",
        "a@b.",
        "eyJ",
        "eyJeyJeyJ.",
        "eyJ-",
        "eyJaaaaaaaaaa.",
        "0",
        "4111 ",
        "4111-",
        "4",
        "12-",
        "--",
        "-",
        " -p",
        " -p x",
        " --token ",
        " --a",
        "mysql -p",
        "curl -u ;",
        "\"",
        "\\",
        "\\\"",
        "'",
        "=",
        "a=",
        "token=",
        "token =",
        "token:",
        "\"token\":",
        "token: x ",
        "password is ",
        "password ",
        "pin 1",
        "key=value ",
        "a: b\n",
        "://",
        "a://b@",
        "a://b:c/",
        "a:b@",
        "x:y@h:",
        "{",
        "[",
        "{\"",
        "[\"",
        "[1,",
        "{\"a\":1} ",
        "<a>",
        "<token>",
        "<password>x<",
        "%40",
        "%3A%2F%2F",
        "%3A%2F%2Fa%3Ab%40",
        "%253A%252F%252F",
        "小@",
        "a@小.",
        "小",
        "x[password]=",
        "&a%5B",
        "[[\"a\",\"password\"],",
        "{\"columns\":[",
        "{\"columns\":[\"password\"],\"rows\":[[\"x1\"],",
        "{\"columns\":[{\"a\":[",
        "{\"rows\":[[\"a\"]],\"columns\":[\"password\"]},",
        "a%40b.",
        "%3D",
        "-----BEGIN ",
        "-----BEGIN PRIVATE KEY-----",
        "Bearer ",
        "Basic AAAA",
        "Basic ",
        "sk-",
        "sk-a",
        "ghp_",
        "_",
        "gho_",
        "AKIA",
        "AKIAIOSFODNN7EXAMPLE ",
        "DE89",
        "DE89 3704 ",
        "AB12",
        "M-",
        "MMMMMMMMMMMMMMMMMMMMMMMM.",
        "SK",
        "xoxb-",
        "1:A",
        "123456:A",
        "Q~",
        "8Q~",
        "-us1",
        "a-us",
        "[REDACTED]",
        "[REDACTED",
        "$env:",
        "export A=",
        "é",
        "\u{2028}",
        "😀",
        "password\u{e9}=",
        "A",
        "Aa",
        "aA1_",
        "?sig=",
        "&code=",
        "secret=null;",
        "tokens=1&",
        "a,b;c&",
        "token=,",
        "token=a,",
        "token=a&",
        "token='",
        "token={",
        "token=[",
        "\n",
        " ",
        "T",
        "1.",
        "999.999.999-",
        "thin:a/",
        "key: ",
        "api key",
        "x key:",
        "value=\"",
        "key=\"a\" value=\"b\" ",
        "echo ",
        "echo | ",
        "echo x | sudo ",
        "echo a b c d | ",
        "<<< ",
        " <<< x",
        "AUTH x ",
        "redis-cli AUTH ",
        "insert into t (password) values (",
        "insert into t (password) values ('a'),",
        "insert into ",
        "insert into t (",
        "a,password\nb,",
        "password,password\nabcd,abcd\n",
        "net user ",
        "htpasswd -b ",
        "mc alias set a b c d ",
        "cargo login ",
        "setx KEY ",
        "code ",
        "verification code is 1234 ",
        "password for a is ",
        "password for ",
        "define(",
        "define('password', '",
        "setPassword(\"a\"",
        "login(\"1\",",
        "auth=(",
        "-password:x1,",
        "password [a]: ",
        "password = A-B ",
        "password = A.B ",
        "password = A_B ",
        "password = A/B ",
        "password = AB ",
        "passphrase = A-B ",
        "passwd = A-B ",
        "pwd = A-B ",
        "token = A-B ",
        "secret = A-B ",
        "api key = A-B ",
        "pin = A-B ",
        "password: A-B ",
        "token: A-B ",
        "\"password\" = A-B ",
        "password = \"A-B\" ",
        "password == A-B ",
        "password=A-B ",
        "password => A-B ",
        "pass",
        "psk = A-B ",
        "git config ",
        "git config a.token x1\n",
        "insert into t (password) values ('a');\n",
        "git config a.token x1 ",
        "aws configure set token ",
        "the passphrase is correct horse battery ",
        "passphrase is correct horse battery\n",
        "password for the vpn of the ",
        "password of a b c d ",
        "password to is ",
        "password\nhunter22\n",
        "PESEL 44051401359 ",
        "NHS number ",
        "passport no. ",
        "PASSWORD FOR 'a",
        "passe",
        "class passing ",
        "Private-Lines: 1\n",
        "Private-Lines: 1\nAAAA\n",
        "a@b.co:x1 ",
        "mysqli(\"a\",\"b\",",
        "#define TOKEN ",
        "--from-literal=a=b ",
        "token=a;a b c ",
        "{\"token\":{\"type\":1,",
        "{\"token\":{\"type\":\"string\"}},",
        "{\"question\":\"your PIN?\",\"answer\":1},",
        "{\"password\":[\"is too short\",",
        "set(\"",
        "$",
        "$1$",
        "$6$aaaaaaaaaaaa",
        "$6$aaaaaaaaaaaaaaaa$bbbbbbbbbbbbbbbb ",
        "１",
        "４１１１ ",
        "\u{200b}",
        "ａｂ＝",
        "密码：x",
        "пароль: x ",
        "“",
        "<a b",
        "<a b>",
        "<key>password</key>",
        "<string name=\"password\">",
        "<a><![CDATA[",
        "password: |\n ",
        "password: |\n  a\n",
        "- name: password\n  value: a\n",
        "value: ",
        "default = ",
        "a: b = \"",
        "passphrase: a b c d e\n",
        "phrase: ",
        "a:5432:b:c:d",
        "a:5432:b:c:d\n",
        "rdp /p:",
        "x /p:a",
        "**password:** ",
        "` ",
        "PASSWORD('",
        "1//0",
        "1//0aaaaaaaaaaaaaaaaaaaa",
        "s.aB1",
        "atlasv1.",
        "ATATT3",
        "sntrys_a",
        "-b 'a=b' curl ",
        " -p x mysql",
        " -A x snmpwalk ",
        "[[\"password\",\"x1\"],",
        "[\"mysql\",\"-px\",",
        "[\"AUTH\",\"x\",",
        "[\"a\",",
        "{\"path\":\"/password\",\"op\":1,\"value\":",
    ] {
        classes.push((format!("{unit:?}"), unit.repeat(SIZE / unit.len())));
    }
    classes
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
