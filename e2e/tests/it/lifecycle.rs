//! Start, stop, and everything that may stand in the way of either.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use e2e::palisade::binary;
use e2e::upstream::Step;
use e2e::wire::{Ask, BOTH, Client, Protocol};
use e2e::{Palisade, Reply, Upstream, authority};
use serde_json::{Value as Json, json};

use crate::rig::{Rig, always, section, server};

// REQ: G-10
#[tokio::test]
async fn sigterm_finishes_what_is_in_flight_and_takes_nothing_new() {
    let late = Reply::json(&json!({ "jsonrpc": "2.0", "id": 7, "result": { "late": true } }));
    let slow = Reply::raw(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 4\r\n\r\n12",
    )
    .then(Step::Pause(Duration::from_millis(900)))
    .then(Step::Bytes(b"34".to_vec()));
    let mut rig = Rig::new(
        "",
        [
            always("late", late.after(Duration::from_millis(900))),
            always("slow", slow),
            server("quick", Upstream::new()),
        ],
    );
    let client = rig.palisade.client();
    let mut idle = client.http1().await;
    assert_eq!(idle.ask(&Ask::call().target("/quick")).await.status, 200);
    let mut calls = Vec::new();
    for protocol in BOTH {
        for name in ["late", "slow"] {
            let client = client.clone();
            let ask = Ask::call().target(&format!("/{name}"));
            calls.push(tokio::spawn(
                async move { client.ask(protocol, &ask).await },
            ));
        }
    }
    let until = Instant::now() + Duration::from_secs(10);
    while rig.upstream("late").arrived().len() + rig.upstream("slow").arrived().len() < 4 {
        assert!(Instant::now() < until);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    rig.palisade.terminate();
    assert!(idle.is_closed().await, "an idle connection is closed");
    let until = Instant::now() + Duration::from_millis(700);
    let mut refused = false;
    while Instant::now() < until && !refused {
        refused = client.connect("http/1.1").await.is_err();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(refused, "new connections are still served");
    for call in calls {
        let answer = call.await.unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(
            !answer.cut && (answer.text() == "1234" || answer.json()["result"]["late"] == true),
            "{answer:?}"
        );
    }
    assert_eq!(rig.palisade.wait(), Some(0));
    assert_eq!(rig.palisade.audit().len(), 5);
    rig.palisade.wait_for_stderr("draining");
}

// REQ: G-10, L-1
#[tokio::test]
async fn a_second_signal_or_the_deadline_stops_at_once() {
    let config = "[drain]\ndeadline = \"700ms\"";
    for (config, signals, least) in [("", 2, 0), (config, 1, 600)] {
        let mut rig = Rig::new(config, [always("never", Reply::never())]);
        let mut http1 = rig.palisade.client().http1().await;
        http1.send("POST /never HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 40\r\n\r\n{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}").await;
        rig.upstream("never").wait_for(1);
        let began = Instant::now();
        rig.palisade.terminate();
        rig.palisade.wait_for_stderr("draining");
        if signals == 2 {
            assert!(rig.palisade.stderr().contains("draining"));
            rig.palisade.terminate();
        }
        assert_eq!(
            rig.palisade.wait(),
            Some(130),
            "what was cut off is no clean end"
        );
        let took = began.elapsed();
        assert!(
            took >= Duration::from_millis(least) && took < Duration::from_secs(7),
            "{took:?}"
        );
        rig.palisade.wait_for_stderr(if signals == 2 {
            "second signal"
        } else {
            "deadline"
        });
        rig.upstream("never").wait_for_left(1);
        let cut_off = rig
            .palisade
            .audit_where(1, |record| record["method"] == "ping");
        assert_eq!(cut_off[0]["outcome"], "detached", "{cut_off:?}");
    }
}

// REQ: G-8, U-4
#[test]
fn what_stands_in_the_way_of_a_start_is_named_with_its_remedy() {
    let upstream = Upstream::new();
    let mcp = section("mcp", &upstream.url(), "");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name).display().to_string();
    let (cert, key) = authority::certificate(directory.path(), &["localhost"]);
    let (cert, key) = (cert.display().to_string(), key.display().to_string());
    let other = tempfile::tempdir().unwrap();
    let (_, other_key) = authority::certificate(other.path(), &["localhost"]);
    expired(directory.path());
    fs::write(at("no.pem"), "not PEM at all").unwrap();
    let tls =
        |cert: &str, key: &str| format!("[tls]\ncertificate = \"{cert}\"\nkey = \"{key}\"\n{mcp}");
    for (config, words) in [
        (
            format!("listen = \"{port}\"\n{mcp}"),
            &["in use", &*port.to_string()][..],
        ),
        (tls(&at("missing.pem"), &key), &["missing.pem"]),
        (tls(&cert, &at("missing.key")), &["missing.key"]),
        (tls(&cert, &other_key.display().to_string()), &["key"]),
        (tls(&at("expired.pem"), &at("expired.key")), &["expired"]),
        (tls(&at("no.pem"), &key), &["no.pem"]),
        (
            format!("[audit]\nsink = {{ file = \"/no/such/directory/audit\" }}\n{mcp}"),
            &["/no/such/directory", "make it"],
        ),
        (
            format!("[audit]\nsink = {{ file = \"/dev/full\" }}\n{mcp}"),
            &["/dev/full", "regular file"],
        ),
        (
            String::from("[cors]\norigins = [\"https://a.example\"]"),
            &["server"],
        ),
        (
            format!("[tls]\nlocal = true\ncertificate = \"{cert}\"\nkey = \"{key}\"\n{mcp}"),
            &["local"],
        ),
        (format!("{mcp}{mcp}"), &["mcp"]),
        (
            format!("[cors]\norigins = [\"*\"]\ncredentials = true\n{mcp}"),
            &["*"],
        ),
        (format!("[limits]\nbdy = 1\n{mcp}"), &["bdy", "body"]),
    ] {
        let builder = Palisade::builder().config(&config);
        let builder = if config.contains("[tls]") {
            builder.plain()
        } else {
            builder
        };
        let ended = builder.fail();
        assert_eq!(ended.code, Some(2), "{config}\n{}", ended.stderr);
        for word in words {
            assert!(
                ended.stderr.contains(word),
                "no {word:?} in\n{}\nof\n{config}",
                ended.stderr
            );
        }
        assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
    }
}

/// A certificate whose time is over, in `expired.pem` and `expired.key`.
fn expired(directory: &Path) {
    let mut params = rcgen::CertificateParams::new(vec![String::from("localhost")]).unwrap();
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(2020, 2, 1);
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    fs::write(directory.join("expired.pem"), certificate.pem()).unwrap();
    fs::write(directory.join("expired.key"), key.serialize_pem()).unwrap();
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(
        directory.join("expired.key"),
        fs::Permissions::from_mode(0o600),
    )
    .unwrap();
}

/// Runs the binary alone.
fn run(directory: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    Command::new(binary())
        .args(arguments)
        .current_dir(directory)
        .env_clear()
        .env("HOME", directory)
        .envs(environment.iter().copied())
        .output()
        .unwrap()
}

// REQ: G-8
#[test]
fn an_unreadable_configuration_and_a_wrong_command_line_end_with_two() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("latin1.toml"), b"# caf\xe9\n").unwrap();
    fs::write(directory.path().join("broken.toml"), "listen = [\n[tls\n").unwrap();
    for (arguments, words) in [
        (&["serve", "--config", "nowhere.toml"][..], "nowhere.toml"),
        (&["serve", "--config", "."], "."),
        (&["serve", "--config", "latin1.toml"], "latin1.toml"),
        (&["serve", "--config", "broken.toml"], "broken.toml"),
        (&["serve"], "palisade serve http://"),
        (&["serve", "nonsense"], "nonsense"),
        (&["serve", "ftp://127.0.0.1/"], "ftp"),
        (
            &["serve", "http://127.0.0.1:9/mcp", "--no-such-flag"],
            "--no-such-flag",
        ),
        (&["no-such-command"], "no-such-command"),
        (
            &["config", "check", "--config", "broken.toml"],
            "broken.toml",
        ),
    ] {
        let output = run(directory.path(), arguments, &[]);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}\n{stderr}");
        assert!(stderr.contains(words), "{arguments:?}\n{stderr}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
    for arguments in [
        &["--help"][..],
        &["--version"],
        &["version", "--format", "json"],
        &["config", "schema"],
    ] {
        let output = run(directory.path(), arguments, &[]);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert!(
            !output.stdout.is_empty() && output.stderr.is_empty(),
            "{arguments:?}"
        );
    }
}

// REQ: G-8
#[test]
fn the_check_is_also_for_machines() {
    let directory = tempfile::tempdir().unwrap();
    let upstream = "[[server]]\nname = \"a\"\nupstream = \"http://127.0.0.1:9/mcp\"\n";
    let check = |text: &str| {
        fs::write(directory.path().join("p.toml"), text).unwrap();
        let output = run(
            directory.path(),
            &["config", "check", "--config", "p.toml", "--format", "json"],
            &[],
        );
        let json: Json = serde_json::from_slice(&output.stdout).unwrap();
        (output.status.code(), json)
    };
    assert_eq!(check(upstream), (Some(0), json!([])));
    let (code, problems) = check(&format!(
        "workers = \"two\"\n[cors]\norigns = []\n{upstream}"
    ));
    assert_eq!(code, Some(2));
    let problems = problems.as_array().unwrap();
    let of = |word: &str| {
        problems
            .iter()
            .find(|problem| problem["code"] == word)
            .unwrap()
    };
    let unknown = of("config.unknown_key");
    assert_eq!(
        (&unknown["severity"], &unknown["line"], &unknown["column"]),
        (&"error".into(), &3.into(), &1.into())
    );
    assert!(
        unknown["remedy"].as_str().unwrap().contains("origins"),
        "{unknown}"
    );
    assert!(unknown["file"].as_str().unwrap().ends_with("p.toml"));
    assert_eq!(of("config.wrong_type")["line"], 1);
}

// REQ: G-11
#[test]
fn insecure_by_accident_is_refused_with_the_line_to_add() {
    let upstream = Upstream::new();
    let mcp = section("mcp", &upstream.url(), "");
    let public = "listen = \"0.0.0.0:0\"\nhosts = [\"mcp.example.com\"]\n";
    let hostless = "listen = \"0.0.0.0:0\"\n";
    let both = "[i_accept]\nplaintext = true\nno_authentication = true\n";
    let ended = Palisade::builder()
        .plain()
        .config(&format!("{public}{mcp}"))
        .fail();
    assert_eq!(ended.code, Some(2));
    for line in [
        "plaintext = true",
        "no_authentication = true",
        "[i_accept]",
        "certificate",
    ] {
        assert!(
            ended.stderr.contains(line),
            "no {line:?} in\n{}",
            ended.stderr
        );
    }
    // TLS answers the one and not the other.
    let ended = Palisade::builder().config(&format!("{public}{mcp}")).fail();
    assert_eq!(ended.code, Some(2));
    assert!(
        ended.stderr.contains("no_authentication = true"),
        "{}",
        ended.stderr
    );
    assert!(
        !ended.stderr.contains("plaintext = true"),
        "{}",
        ended.stderr
    );
    // Nobody named a host: nothing could be asked for.
    let ended = Palisade::builder()
        .config(&format!(
            "{hostless}[i_accept]\nno_authentication = true\n{mcp}"
        ))
        .fail();
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("hosts"), "{}", ended.stderr);
    // Accepted, it is repeated at every start.
    let accepted = Palisade::builder()
        .plain()
        .config(&format!("{public}{both}{mcp}"))
        .check();
    assert_eq!(accepted.code, Some(0), "{}", accepted.stderr);
    for key in ["i_accept.plaintext", "i_accept.no_authentication"] {
        assert!(
            accepted.stderr.contains("warning") && accepted.stderr.contains(key),
            "{}",
            accepted.stderr
        );
    }
    // On loopback plain HTTP is the default.
    let plain = Palisade::builder().plain().config(&mcp).check();
    assert_eq!(plain.code, Some(0), "{}", plain.stderr);
}

// REQ: G-8
#[tokio::test]
async fn environment_and_flags_override_the_file() {
    let (in_file, in_environment) = (Upstream::new(), Upstream::new());
    let palisade = Palisade::builder()
        .config(&format!(
            "hosts = [\"file.example\"]\n[cors]\norigins = [\"https://file.example\"]\n[limits]\nbody = 100000\n{}",
            section("mcp", &in_file.url(), "")
        ))
        .env("MCP_ALLOWED_HOST", "environment.example")
        .env("CORS_ALLOWED_ORIGINS", "https://one.example,https://two.example")
        .env("PALISADE_LIMITS__BODY", "200")
        .env("PALISADE_SERVER__MCP__UPSTREAM", &in_environment.url())
        .env("PALISADE_NO_SUCH_KEY", "secret-value")
        .arguments(&["--host", "flag.example"])
        .start();
    let ask = |host: &str| Ask::call().host(host);
    let status = async |ask: Ask| {
        palisade
            .client()
            .ask(Protocol::Http1, &ask.target("/mcp"))
            .await
            .status
    };
    assert_eq!(status(ask("flag.example")).await, 200);
    assert_eq!(status(ask("environment.example")).await, 403);
    assert_eq!(status(ask("file.example")).await, 403);
    assert_eq!(status(Ask::call().origin("https://two.example")).await, 200);
    assert_eq!(
        status(Ask::call().origin("https://file.example")).await,
        403
    );
    assert_eq!(status(Ask::call().body(" ".repeat(201))).await, 413);
    assert_eq!(
        (in_file.arrived().len(), in_environment.arrived().len()),
        (0, 2)
    );
    // A name that no key has is a warning, and what it holds is not shown.
    let stderr = palisade.stderr();
    assert!(
        stderr.contains("warning") && stderr.contains("PALISADE_NO_SUCH_KEY"),
        "{stderr}"
    );
    assert!(!stderr.contains("secret-value"), "{stderr}");
    for why in [
        "--host",
        "CORS_ALLOWED_ORIGINS",
        "PALISADE_SERVER__MCP__UPSTREAM",
    ] {
        assert!(stderr.contains(why), "no {why} in the table:\n{stderr}");
    }
}

// REQ: U-4
#[tokio::test]
async fn the_start_table_says_what_holds_and_why() {
    let upstream = Upstream::new();
    let palisade = Palisade::builder()
        .config(&format!(
            "hosts = [\"mcp.example.com\"]\n[rate]\nmode = \"report\"\npeer = \"9/min\"\n[cors]\norigins = [\"https://app.example.com\"]\n{}",
            section("notes", &upstream.url(), "[server.headers]\nmode = \"off\"")
        ))
        .start();
    let stderr = palisade.stderr();
    let line = |what: &str| -> Vec<String> {
        let found = stderr
            .lines()
            .find(|line| line.trim_start().starts_with(what));
        let found = found.unwrap_or_else(|| panic!("no {what} in\n{stderr}"));
        found
            .split("  ")
            .filter(|cell| !cell.trim().is_empty())
            .map(|cell| cell.trim().to_owned())
            .collect()
    };
    assert_eq!(line("listen")[1], format!("https://{}", palisade.address()));
    assert!(line("hosts")[1].starts_with("mcp.example.com"));
    assert!(line("tls")[1].starts_with("1.2 and 1.3"));
    assert_eq!(line("authentication")[1], "none");
    assert_eq!(line("host guard")[1..], ["enforce", "(default)"]);
    assert_eq!(
        line("server notes")[1],
        format!("/notes -> {}", upstream.url())
    );
    assert_eq!(line("origin guard")[1..], ["enforce", "(default)"]);
    assert_eq!(line("rates")[1], "report");
    assert!(line("rates")[2].contains("line"), "{:?}", line("rates"));
    assert_eq!(line("security headers")[1], "off");
    assert_eq!(line("body limit")[1], "enforce");
    assert_eq!(line("origins")[1], "https://app.example.com");
    assert!(line("audit")[1].ends_with("fails closed"));
}

// REQ: G-4
#[tokio::test]
async fn several_servers_stand_behind_one_listener_each_with_its_policy() {
    let [notes, files, tenant, deep] = std::array::from_fn(|_| Upstream::new());
    let server = |name: &str, upstream: &Upstream, lines: &str| {
        format!(
            "[[server]]\nname = \"{name}\"\nupstream = \"{}\"\n{lines}\n",
            upstream.url()
        )
    };
    let palisade = Palisade::builder()
        .config(&format!(
            "hosts = [\"mcp.example.com\"]\n[cors]\norigins = [\"https://all.example\"]\n[limits]\nbody = 1000\n{}{}{}{}",
            server("notes", &notes, "path = \"/mcp\""),
            server("files", &files, "path = \"/files\"\n[server.limits]\nbody = 100\n[server.cors]\norigins = [\"https://files.example\"]"),
            server("deep", &deep, "path = \"/mcp/deep\""),
            server("tenant", &tenant, "path = \"/mcp\"\nhost = \"a.tenant.example.com\"\n[server.origin]\nmode = \"off\""),
        ))
        .start();
    let main = "mcp.example.com";
    let own = "a.tenant.example.com";
    for protocol in BOTH {
        for (host, path, name, upstream, target) in [
            (main, "/mcp", "notes", &notes, "/mcp"),
            (main, "/mcp/x?y", "notes", &notes, "/mcp/x?y"),
            (main, "/mcpx", "", &notes, ""),
            (main, "/files", "files", &files, "/mcp"),
            (main, "/files/x", "files", &files, "/mcp/x"),
            (main, "/mcp/deep", "deep", &deep, "/mcp"),
            (main, "/mcp/deeper", "notes", &notes, "/mcp/deeper"),
            (own, "/mcp", "tenant", &tenant, "/mcp"),
            (own, "/files", "files", &files, "/mcp"),
        ] {
            let ask = Ask::call().host(host).target(path);
            let answer = palisade.client().ask(protocol, &ask).await;
            let record = palisade.record_of(&answer);
            if name.is_empty() {
                assert_eq!(
                    (answer.status, answer.reason().as_deref()),
                    (404, Some("route.not_found"))
                );
                continue;
            }
            assert_eq!(answer.status, 200, "{host}{path} {answer:?}");
            assert_eq!(record["server"], name, "{host}{path}");
            assert_eq!(
                upstream.of_case(&answer.case)[0].target(),
                target,
                "{host}{path}"
            );
        }
        // Each policy is its own, over what it inherits.
        for (host, path, origin, length, status) in [
            (main, "/mcp", "https://all.example", 500, 200),
            (main, "/files", "https://all.example", 50, 403),
            (main, "/files", "https://files.example", 50, 200),
            (main, "/files", "https://files.example", 500, 413),
            (main, "/mcp", "https://files.example", 50, 403),
            (own, "/mcp", "https://evil.example", 50, 200),
        ] {
            let body = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
            let body = format!("{body}{}", " ".repeat(length - body.len()));
            let ask = Ask::post(&body).host(host).target(path).origin(origin);
            let answer = palisade.client().ask(protocol, &ask).await;
            assert_eq!(
                answer.status, status,
                "{host}{path} {origin} {length} {answer:?}"
            );
        }
    }
}

// REQ: T-1, T-3
#[tokio::test]
async fn the_profiles_of_tls_and_the_protocols_by_alpn() {
    let upstream = Upstream::new();
    let tls12 = &rustls::version::TLS12;
    let tls13 = &rustls::version::TLS13;
    for (profile, old) in [("intermediate", true), ("modern", false)] {
        let palisade = Palisade::builder()
            .config(&format!(
                "[tls]\nprofile = \"{profile}\"\n{}",
                section("mcp", &upstream.url(), "")
            ))
            .start();
        let client = || palisade.client();
        assert_eq!(
            client().version(tls12).connect("h2").await.is_ok(),
            old,
            "{profile}"
        );
        let stream = client().version(tls13).connect("h2").await.unwrap();
        // Hybrid post-quantum key exchange, where the client offers it.
        let group = stream
            .tls()
            .unwrap()
            .negotiated_key_exchange_group()
            .unwrap();
        assert_eq!(group.name(), rustls::NamedGroup::X25519MLKEM768);
        for (offer, agreed) in [
            (&["h2", "http/1.1"][..], Some("h2")),
            (&["http/1.1", "h2"], Some("h2")),
            (&["http/1.1"], Some("http/1.1")),
            (&[], None),
        ] {
            let stream = client().alpn(offer).connect("").await.unwrap();
            assert_eq!(stream.alpn().as_deref(), agreed, "{offer:?}");
        }
        assert!(
            client()
                .alpn(&["http/1.0", "spdy/3"])
                .connect("")
                .await
                .is_err(),
            "no common protocol"
        );
        // Without ALPN it is HTTP/1.1.
        let answer = client().alpn(&[]).ask(Protocol::Http1, &Ask::call()).await;
        assert_eq!(answer.status, 200);
        for protocol in BOTH {
            assert_eq!(client().ask(protocol, &Ask::call()).await.status, 200);
        }
        // Plain HTTP on the TLS port is told so, and goes no further.
        let before = upstream.arrived().len();
        let mut plain = client().plain().http1().await;
        let answer = plain
            .exchange("GET /mcp HTTP/1.1\r\nHost: localhost\r\n\r\n")
            .await;
        assert_eq!(
            (answer.status, answer.header("x-content-type-options")),
            (400, Some("nosniff"))
        );
        assert!(plain.is_closed().await);
        assert_eq!(upstream.arrived().len(), before);
    }
}

// REQ: T-3
#[tokio::test]
async fn the_redirect_listener_redirects_and_nothing_else() {
    let upstream = Upstream::new();
    let free = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let palisade = Palisade::builder()
        .config(&format!(
            "hosts = [\"mcp.example.com\"]\npublic_url = \"https://mcp.example.com\"\n[tls]\nredirect = [\"{free}\"]\n{}",
            section("mcp", &upstream.url(), "")
        ))
        .start();
    let client = Client::new(free, &palisade.root()).plain();
    let ask = |ask: Ask| {
        let client = client.clone();
        async move { client.ask(Protocol::Http1, &ask).await }
    };
    let answer = ask(Ask::new("GET", "/mcp?a=b").host("mcp.example.com")).await;
    assert!(matches!(answer.status, 301 | 308), "{answer:?}");
    assert_eq!(
        answer.header("location"),
        Some("https://mcp.example.com/mcp?a=b")
    );
    // Never to a place that the request alone named.
    let answer = ask(Ask::new("GET", "/").host("evil.example")).await;
    assert!(!(300..400).contains(&answer.status), "{answer:?}");
    assert!(
        !answer
            .headers
            .iter()
            .any(|(_, value)| value.contains("evil")),
        "{answer:?}"
    );
    let answer = ask(Ask::call().host("mcp.example.com")).await;
    assert_ne!(answer.status, 200, "{answer:?}");
    assert!(upstream.arrived().is_empty());
}

// REQ: G-1, T-1
#[tokio::test]
async fn several_listeners_serve_the_same() {
    let upstream = Upstream::new();
    let second = if TcpListener::bind("[::1]:0").is_ok() {
        "[::1]:0"
    } else {
        "127.0.0.2:0"
    };
    let palisade = Palisade::builder()
        .config(&format!("listen = [\"127.0.0.1:0\", \"{second}\"]"))
        .server(&upstream)
        .start();
    let listeners: Vec<SocketAddr> = palisade
        .listeners()
        .iter()
        .map(|listener| listener.address)
        .collect();
    assert_eq!(listeners.len(), 2);
    for (index, address) in listeners.iter().enumerate() {
        for protocol in BOTH {
            let answer = palisade.client_of(index).ask(protocol, &Ask::call()).await;
            assert_eq!(answer.status, 200);
            let ip = address.ip().to_string();
            assert_eq!(palisade.record_of(&answer)["actor"]["ip"], ip);
        }
    }
}
