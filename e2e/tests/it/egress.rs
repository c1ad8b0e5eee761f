//! The guard on the way out: what commands reach through their proxy, what calls may name, what
//! the command line says of it.
//!
//! Whatever is dialed here is on loopback, or in a network namespace of the test's own, in which
//! every address is this machine.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use e2e::palisade::binary;
use e2e::wire::Protocol;
use e2e::{Palisade, Reply, Upstream, namespace};
use serde_json::{Value as Json, json};

use crate::peers::python;
use crate::rig::modern_request;
use crate::stdio::{Session, before, messages};

const PUBLIC: [u8; 4] = [93, 184, 216, 34];

/// Every address of these is this machine, and is no address of an interface.
pub(crate) fn every_address_here() {
    for range in ["93.184.216.0/24", "169.254.0.0/16", "10.0.0.0/8"] {
        let arguments = ["route", "add", "local", range, "dev", "lo"];
        let routed = Command::new("ip").args(arguments).status().unwrap();
        assert!(routed.success(), "{range}");
    }
}

/// The levels at which the fetch server is tried. Behind a wall it asks loopback without the proxy,
/// since that is its own; without one everything goes to the proxy.
const LEVELS: [&str; 3] = ["isolated", "supervised", "advisory"];

// REQ: E-2, E-3, L-1, O-1
#[tokio::test]
async fn the_official_fetch_server_reaches_the_public_internet_and_nothing_else() {
    if !namespace::entered(
        "egress::the_official_fetch_server_reaches_the_public_internet_and_nothing_else",
    ) {
        return;
    }
    every_address_here();
    let reached = web();
    for level in LEVELS {
        fetch_server(level).await;
    }
    let reached = reached.lock().unwrap().clone();
    assert!(!reached.is_empty());
    assert!(
        reached
            .iter()
            .all(|address| *address == IpAddr::from(PUBLIC)),
        "{reached:?}"
    );
}

async fn fetch_server(level: &str) {
    let dns = dns();
    let fetch = python("venv-fetch").with_file_name("mcp-server-fetch");
    let fetch = fetch.display().to_string();
    let palisade = Palisade::builder()
        .config(&format!(
            "[egress]\nmax_level = \"{level}\"\ndns = \"{dns}\"\n"
        ))
        .arguments(&["--", &fetch, "--allow-private-ips", "--ignore-robots-txt"])
        .start();
    let said = palisade.stderr();
    assert!(
        said.contains(&format!("  {level}: ")) && !said.contains("protected"),
        "{said}"
    );
    let session = Session::open(&palisade).await;
    let mut id = 0;
    let mut fetched = async |url: &str| {
        id += 1;
        let params = json!({ "name": "fetch", "arguments": { "url": url } });
        let call = json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params });
        let answer = session.ask(&call).await;
        let last = messages(&answer).pop().unwrap();
        let call = answer.header("x-request-id").unwrap().to_owned();
        (last["result"].clone(), call)
    };
    let (own, local) = match level {
        "advisory" => ("absolute", "egress.host.local"),
        _ => ("transparent", "egress.address.loopback"),
    };
    for (url, code, form) in [
        ("http://public.example/page", None, "absolute"),
        ("http://127.0.0.1/", Some("egress.address.loopback"), own),
        (
            "http://169.254.169.254/latest/meta-data/",
            Some("egress.address.platform"),
            "absolute",
        ),
        (
            "http://10.0.0.1/",
            Some("egress.address.private"),
            "absolute",
        ),
        (
            "http://inside.example/",
            Some("egress.address.private"),
            "absolute",
        ),
        ("http://localhost/", Some(local), own),
        // The site leads to the metadata service.
        (
            "http://redirect.example/",
            Some("egress.address.platform"),
            "absolute",
        ),
        // The first lookup is public, the second is not.
        ("http://rebind.example/1", None, "absolute"),
        (
            "http://rebind.example/2",
            Some("egress.address.loopback"),
            "absolute",
        ),
    ] {
        let (result, call) = fetched(url).await;
        assert_eq!(
            result["isError"] == true,
            code.is_some(),
            "{level} {url}: {result}"
        );
        let of_call = |record: &Json| {
            record["requestId"] == *call && record["egress"]["decision"].is_string()
        };
        let wanted = if url.contains("redirect") { 2 } else { 1 };
        let records = palisade.audit_where(wanted, of_call);
        // A name of this machine has an address of each family.
        if !url.contains("localhost") {
            assert_eq!(records.len(), wanted, "{level} {url}: {records:?}");
        }
        let last = records.last().unwrap();
        assert_eq!(
            (&last["tool"], &last["server"], &last["egress"]["form"]),
            (&json!("fetch"), &json!("mcp"), &json!(form)),
            "{level} {url}"
        );
        assert_eq!(last["egress"]["level"], level);
        match code {
            Some(code) => {
                assert_eq!(
                    (&last["outcome"], &last["reason"]),
                    (&json!("denied"), &json!(code))
                );
                assert_eq!(last["egress"]["decision"], code);
            }
            None => {
                assert_eq!(last["outcome"], "ok");
                assert_eq!(last["egress"]["decision"], "egress.allow.public");
                assert_eq!(last["egress"]["addresses"], json!(["93.184.216.34:80"]));
                assert!(result.to_string().contains("the page"), "{result}");
            }
        }
    }
}

/// Answers at port 80 of every address, and keeps which address it was.
pub(crate) fn web() -> Arc<Mutex<Vec<IpAddr>>> {
    let listener = TcpListener::bind("0.0.0.0:80").unwrap();
    let reached = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&reached);
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            kept.lock().unwrap().push(stream.local_addr().unwrap().ip());
            thread::spawn(move || {
                let mut lines = BufReader::new(&stream).lines().map_while(Result::ok);
                let head: Vec<String> =
                    lines.by_ref().take_while(|line| !line.is_empty()).collect();
                let redirect = head.iter().any(|line| line.ends_with("redirect.example"));
                let page = "the page";
                let first = if redirect {
                    "302 Found\r\nLocation: http://169.254.169.254/latest/meta-data/"
                } else {
                    "200 OK\r\nContent-Type: text/plain"
                };
                let length = page.len();
                let _ = write!(
                    &stream,
                    "HTTP/1.1 {first}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{page}"
                );
            });
        }
    });
    reached
}

/// A DNS server that knows a few names; one of them changes after its first lookup.
pub(crate) fn dns() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    thread::spawn(move || {
        let mut rebound = false;
        let mut buffer = [0; 1500];
        while let Ok((length, peer)) = socket.recv_from(&mut buffer) {
            let question = &buffer[..length];
            // The name's labels stand behind the twelve bytes of the head, then type and class.
            let end = 12 + question[12..].iter().position(|byte| *byte == 0).unwrap();
            let name = String::from_utf8_lossy(&question[13..end])
                .chars()
                .map(|c| {
                    if c.is_ascii_graphic() {
                        c.to_ascii_lowercase()
                    } else {
                        '.'
                    }
                })
                .collect::<String>();
            let is_a = question[end + 1..end + 3] == [0, 1];
            let found = match name.as_str() {
                "packages.example" | "public.example" | "redirect.example" => Some(PUBLIC),
                "inside.example" => Some([10, 0, 0, 1]),
                "rebind.example" if rebound => Some([127, 0, 0, 1]),
                "rebind.example" => {
                    rebound = is_a;
                    Some(PUBLIC)
                }
                _ => None,
            };
            let found = found.filter(|_| is_a);
            let mut answer = question[..2].to_vec();
            answer.extend([0x81, 0x80, 0, 1, 0, u8::from(found.is_some()), 0, 0, 0, 0]);
            answer.extend(&question[12..end + 5]);
            if let Some(found) = found {
                answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4]);
                answer.extend(found);
            }
            socket.send_to(&answer, peer).unwrap();
        }
    });
    address
}

// REQ: E-2
#[tokio::test]
async fn a_command_is_told_of_a_proxy_that_is_its_own() {
    let script = "import json,os,sys\nfor line in sys.stdin:\n m=json.loads(line)\n if 'id' in m:\n  r={'protocolVersion':'2025-11-25','capabilities':{'tools':{}},'serverInfo':{'name':'x','version':'1'}} if m['method']=='initialize' else {'content':[{'type':'text','text':json.dumps(dict(os.environ))}]}\n  print(json.dumps({'jsonrpc':'2.0','id':m['id'],'result':r}),flush=True)";
    let command = [
        python("venv").display().to_string(),
        "-ISc".to_owned(),
        script.to_owned(),
    ];
    let lines = "environment = [\"HTTPS_PROXY=http://elsewhere:1\", \"no_proxy=*\", \"KEPT=1\"]";
    let palisade = before(&command, lines);
    let mut proxies = Vec::new();
    for _ in 0..2 {
        let session = Session::open(&palisade).await;
        let answer = session.call(&json!(1), &json!({})).await;
        let variables = crate::stdio::said(&answer);
        let proxy = variables["HTTPS_PROXY"].as_str().unwrap().to_owned();
        assert!(
            proxy.starts_with("http://test.") && proxy.contains("@127.0.0.1:"),
            "{proxy}"
        );
        for name in [
            "HTTP_PROXY",
            "http_proxy",
            "https_proxy",
            "ALL_PROXY",
            "all_proxy",
        ] {
            assert_eq!(variables[name], *proxy, "{name}");
        }
        assert_eq!(
            (&variables["NO_PROXY"], &variables["no_proxy"]),
            (&json!("localhost,127.0.0.1"), &json!("localhost,127.0.0.1"))
        );
        assert_eq!(
            (&variables["NODE_USE_ENV_PROXY"], &variables["KEPT"]),
            (&json!("1"), &json!("1"))
        );
        proxies.push(proxy);
    }
    assert_ne!(proxies[0], proxies[1]);
    // The credential of one does not open the proxy under the name of the other.
    let parts: Vec<Vec<&str>> = proxies
        .iter()
        .map(|proxy| proxy["http://".len()..].split([':', '@']).collect())
        .collect();
    let address = format!("{}:{}", parts[0][2], parts[0][3]);
    let ask = |user: &str, password: &str| {
        connect(&address, Some((user, password)), "169.254.169.254:443")
    };
    assert!(ask(parts[0][0], parts[0][1]).starts_with("HTTP/1.1 403"));
    assert!(ask(parts[1][0], parts[0][1]).starts_with("HTTP/1.1 407"));
    assert!(connect(&address, None, "169.254.169.254:443").starts_with("HTTP/1.1 407"));
    let denied = palisade.audit_where(1, |record| record["reason"] == "egress.address.platform");
    assert_eq!(
        (
            &denied[0]["server"],
            &denied[0]["tool"],
            &denied[0]["egress"]["host"]
        ),
        (&json!("test"), &json!(null), &json!("169.254.169.254"))
    );
    palisade.audit_where(2, |record| record["reason"] == "egress.proxy.credential");
}

#[expect(clippy::disallowed_methods, reason = "a proxy on loopback")]
fn dial(proxy: &str) -> TcpStream {
    TcpStream::connect(proxy).unwrap()
}

/// The head and body of what a proxy answers to CONNECT.
fn connect(proxy: &str, credential: Option<(&str, &str)>, to: &str) -> String {
    use base64::Engine as _;
    let mut stream = dial(proxy);
    let credential = credential.map_or_else(String::new, |(user, password)| {
        let basic = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
        format!("Proxy-Authorization: Basic {basic}\r\n")
    });
    write!(
        stream,
        "CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n{credential}Connection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8(answer).unwrap()
}

// REQ: E-4, G-7
#[tokio::test]
async fn urls_in_calls_are_judged_before_the_call_goes_on() {
    let upstream = Upstream::answering(|_| {
        Reply::json(&json!({ "jsonrpc": "2.0", "id": 1, "result": { "content": [] } }))
    });
    let url = upstream.url();
    let palisade = Palisade::builder()
        .config(&format!(
            "[egress]\nurls = \"enforce\"\n[[server]]\nname = \"test\"\npath = \"/mcp\"\nupstream = \"{url}\"\n\
             [server.tool.soft]\nurls = \"report\"\n[server.tool.lax]\nurls = \"off\"\n"
        ))
        .start();
    let call = async |tool: &str, arguments: Json| {
        let params = json!({ "name": tool, "arguments": arguments });
        let ask = modern_request(1, "tools/call", &params)
            .target("/mcp")
            .field("mcp-name", tool);
        palisade.client().ask(Protocol::Http1, &ask).await
    };
    let bad = json!({ "options": [{ "callbackUrl": "http://[::ffff:169.254.169.254]/" }] });
    let answer = call("fetch", bad.clone()).await;
    assert_eq!(
        (answer.status, answer.reason().as_deref()),
        (403, Some("url.refused"))
    );
    assert!(!answer.text().contains("169.254"), "{}", answer.text());
    let record = palisade.record_of(&answer);
    assert_eq!(
        (&record["outcome"], &record["tool"]),
        (&json!("denied"), &json!("fetch"))
    );
    assert!(
        record["error"]
            .as_str()
            .unwrap()
            .contains("egress.address.platform"),
        "{record}"
    );
    assert_eq!(upstream.arrived().len(), 0);
    for (arguments, status) in [
        (json!({ "host": "localhost:9901" }), 403),
        (json!({ "x": { "y": ["//127.0.0.1/"] } }), 403),
        (json!({ "text": "read http://127.0.0.1/ aloud" }), 200),
        (json!({ "url": "https://8.8.8.8/", "n": 1 }), 200),
    ] {
        let answer = call("fetch", arguments.clone()).await;
        assert_eq!(answer.status, status, "{arguments}: {}", answer.text());
    }
    let answer = call("soft", bad.clone()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(
        palisade.record_of(&answer)["reported"],
        json!(["url.refused"])
    );
    let answer = call("lax", bad).await;
    assert_eq!(answer.status, 200);
    assert_eq!(palisade.record_of(&answer)["reported"], json!(null));
}

/// A key that says nothing, in a schema that does: as JSON and as an event stream.
// REQ: E-4
#[tokio::test]
async fn what_a_schema_says_is_a_url_is_judged() {
    for events in [false, true] {
        let upstream = Upstream::answering(move |request| {
            let asked: Json = serde_json::from_slice(&request.body).unwrap_or_default();
            let result = if asked["method"] == "tools/list" {
                let property = |format: &str| json!({ "type": "string", "format": format });
                let properties = json!({
                    "target": { "$ref": "#/$defs/Page" },
                    "others": { "type": "array", "items": property("uri") },
                    "note": { "type": "string" },
                });
                let schema = json!({ "type": "object", "properties": properties, "$defs": { "Page": property("uri") } });
                json!({ "tools": [{ "name": "fetch", "inputSchema": schema }, { "name": "plain", "inputSchema": { "type": "object" } }] })
            } else {
                json!({ "content": [] })
            };
            let answer = json!({ "jsonrpc": "2.0", "id": asked["id"], "result": result });
            if events {
                Reply::events(&[(Duration::ZERO, &format!("data: {answer}\n\n"))])
            } else {
                Reply::json(&answer)
            }
        });
        let url = upstream.url();
        let palisade = Palisade::builder()
            .config(&format!(
                "[egress]\nurls = \"enforce\"\n[[server]]\nname = \"test\"\npath = \"/mcp\"\nupstream = \"{url}\"\n"
            ))
            .start();
        let call = async |tool: &str, arguments: Json| {
            let params = json!({ "name": tool, "arguments": arguments });
            let ask = modern_request(1, "tools/call", &params)
                .target("/mcp")
                .field("mcp-name", tool);
            palisade.client().ask(Protocol::Http1, &ask).await.status
        };
        let hidden = json!({ "target": "169.254.169.254/latest/meta-data" });
        assert_eq!(
            call("fetch", hidden.clone()).await,
            200,
            "nothing is known yet"
        );
        let list = modern_request(1, "tools/list", &json!({})).target("/mcp");
        assert_eq!(
            palisade.client().ask(Protocol::Http1, &list).await.status,
            200
        );
        for (tool, arguments, status) in [
            ("fetch", hidden.clone(), 403),
            (
                "fetch",
                json!({ "deep": [{ "others": ["8.8.8.8/", "127.0.0.1:9901"] }] }),
                403,
            ),
            ("fetch", json!({ "target": "8.8.8.8/" }), 200),
            ("fetch", json!({ "note": "127.0.0.1/" }), 200),
            ("plain", hidden, 200),
        ] {
            assert_eq!(
                call(tool, arguments.clone()).await,
                status,
                "{tool} {arguments}"
            );
        }
    }
}

/// Runs `palisade egress …` with this on standard input: exit code, standard output and error.
fn egress(arguments: &[&str], input: &str) -> (Option<i32>, String, String) {
    let mut child = Command::new(binary())
        .arg("egress")
        .args(arguments)
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A program that needs no input may be gone.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

// REQ: E-1, E-5
#[test]
fn a_policy_can_be_tried_case_by_case() {
    let table = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../crates/palisade-egress/tests/data/cases.ndjson"
    );
    let cases = fs::read_to_string(table).unwrap();
    let (code, stdout, stderr) = egress(&["check", "--batch", table], "");
    // Each case says what it expects, so a wrong verdict would be told.
    assert_eq!((code, stderr.as_str()), (Some(0), ""), "{stdout}");
    assert_eq!(stdout.lines().count(), cases.lines().count());
    for (input, expected) in [
        (
            r#"{"id":1,"kind":"ip","input":"8.8.8.8","expect":"allow"}"#,
            0,
        ),
        (
            r#"{"id":1,"kind":"ip","input":"8.8.8.8","expect":{"verdict":"block"}}"#,
            1,
        ),
        ("nonsense", 2),
        (
            r#"{"id":1,"kind":"url","input":"http://a.example/","opts":{"allowed_hosts":[""]}}"#,
            2,
        ),
    ] {
        let (code, stdout, stderr) = egress(&["check", "--batch", "-"], input);
        assert_eq!(code, Some(expected), "{input}\n{stderr}");
        let verdict: Json = serde_json::from_str(&stdout).unwrap();
        let allowed = if expected < 2 { "allow" } else { "block" };
        assert_eq!(verdict["verdict"], allowed, "{input}");
        assert_eq!(stderr.is_empty(), expected == 0, "{stderr}");
    }
}

// REQ: E-1, E-5
#[test]
fn what_the_policy_says_of_a_url_and_why() {
    let (code, stdout, _) = egress(
        &[
            "check",
            "http://169.254.169.254/?secret=1",
            "https://example.com/",
        ],
        "",
    );
    assert_eq!(code, Some(1), "{stdout}");
    assert!(
        stdout.contains("block  http://169.254.169.254/  egress.address.platform"),
        "{stdout}"
    );
    assert!(
        stdout.contains("remedy: ") && !stdout.contains("secret"),
        "{stdout}"
    );
    assert!(
        stdout.contains("allow  https://example.com/  egress.allow.public"),
        "{stdout}"
    );
    assert!(stdout.contains("were not looked up"), "{stdout}");
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("palisade.toml");
    fs::write(&file, "[egress]\nallow_special = [\"10.0.0.1:443\"]\n[[server]]\nname = \"a\"\nupstream = \"http://127.0.0.1:1/\"\negress = [\"*.example.com\"]\n").unwrap();
    let config = file.display().to_string();
    for (url, server, code, reason) in [
        ("https://10.0.0.1/", None, 0, "egress.allow.special"),
        ("https://10.0.0.2/", None, 1, "egress.address.private"),
        (
            "https://api.example.com/",
            Some("a"),
            0,
            "egress.allow.listed",
        ),
        (
            "https://example.com/",
            Some("a"),
            1,
            "egress.host.not_listed",
        ),
        ("https://example.com/", Some("b"), 2, ""),
    ] {
        let mut arguments = vec!["check", "--format", "json", "--config", &config, url];
        arguments.extend(server.into_iter().flat_map(|server| ["--server", server]));
        let (ended, stdout, stderr) = egress(&arguments, "");
        assert_eq!(ended, Some(code), "{url}: {stdout}{stderr}");
        if code < 2 {
            let opinions: Json = serde_json::from_str(&stdout).unwrap();
            assert_eq!(opinions[0]["reason"], reason, "{url}");
        } else {
            assert!(stderr.contains("no server `b`"), "{stderr}");
        }
    }
    assert_eq!(egress(&["check"], "").0, Some(2));
    assert_eq!(egress(&["check", "--batch", "absent"], "").0, Some(2));
}

// REQ: E-2
#[test]
fn the_proxy_alone() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    fs::write(at("ci.secret"), "correct horse battery staple\n").unwrap();
    let target = TcpListener::bind("127.0.0.1:0").unwrap();
    let allowed = target.local_addr().unwrap();
    thread::spawn(move || {
        while let Ok((mut stream, _)) = target.accept() {
            // Closed with something unread, it would be reset.
            let mut request = [0; 4096];
            let _ = stream.read(&mut request);
            let _ = stream.write_all(b"HTTP/1.1 204 No\r\nConnection: close\r\n\r\n");
        }
    });
    let config = format!(
        "[egress]\nlisten = \"127.0.0.1:0\"\nallow_special = [\"{allowed}\"]\n[egress.user.ci]\npassword_file = \"ci.secret\"\n\
         egress = [\"{allowed}\"]\n[audit]\nsink = {{ file = \"audit.ndjson\" }}\n"
    );
    fs::write(at("palisade.toml"), config).unwrap();
    let mut proxy = Command::new(binary())
        .args(["egress", "serve", "--config", "palisade.toml"])
        .current_dir(directory.path())
        .env_clear()
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stderr = BufReader::new(proxy.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("egress proxy  http://") {
        line.clear();
        assert_ne!(stderr.read_line(&mut line).unwrap(), 0, "it ended");
    }
    let address = line
        .split("http://")
        .nth(1)
        .unwrap()
        .split(' ')
        .next()
        .unwrap()
        .to_owned();
    let ci = Some(("ci", "correct horse battery staple"));
    assert!(connect(&address, None, "8.8.8.8:443").starts_with("HTTP/1.1 407"));
    assert!(
        connect(
            &address,
            Some(("ci", "wrong horse battery staple")),
            "8.8.8.8:443"
        )
        .starts_with("HTTP/1.1 407")
    );
    let refused = connect(&address, ci, "127.0.0.1:22");
    assert!(
        refused.starts_with("HTTP/1.1 403") && refused.contains("egress.address.loopback"),
        "{refused}"
    );
    let refused = connect(&address, ci, "a.example:443");
    assert!(refused.contains("egress.host.not_listed"), "{refused}");
    let mut stream = dial(&address);
    let basic = "Y2k6Y29ycmVjdCBob3JzZSBiYXR0ZXJ5IHN0YXBsZQ==";
    write!(stream, "GET http://{allowed}/ HTTP/1.1\r\nHost: {allowed}\r\nProxy-Authorization: Basic {basic}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 204"), "{answer}");
    let pid = i32::try_from(proxy.id())
        .ok()
        .and_then(rustix::process::Pid::from_raw)
        .unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert_eq!(proxy.wait().unwrap().code(), Some(0));
    let audit = fs::read_to_string(at("audit.ndjson")).unwrap();
    let records: Vec<Json> = audit
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let decisions: Vec<&str> = records
        .iter()
        .filter_map(|record| record["egress"]["decision"].as_str())
        .collect();
    assert_eq!(
        decisions,
        [
            "egress.proxy.credential",
            "egress.proxy.credential",
            "egress.address.loopback",
            "egress.host.not_listed",
            "egress.allow.special",
        ]
    );
    // The last line is the log's own signature.
    assert_eq!(records.last().unwrap()["event"], "checkpoint");
    let close = &records[records.len() - 2];
    assert_eq!(
        (&close["phase"], &close["server"]),
        (&json!("close"), &json!("ci"))
    );
    // Open to other machines without a user: it does not start.
    let (code, _, stderr) = egress(&["serve", "--listen", "0.0.0.0:0"], "");
    assert_eq!(code, Some(2));
    assert!(stderr.contains("egress.user"), "{stderr}");
}
