//! The jail as `palisade serve` uses it: which level holds and how that is said, what commands reach
//! and what is told of it, what is run before them, and what is left when the gateway is killed.
//!
//! Whatever is dialed is on loopback, or in a network namespace of the test's own, in which every
//! address is this machine.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use e2e::{PATIENCE, Palisade, namespace};
use rustix::process::Signal;
use serde_json::{Value as Json, json};

use crate::egress::{dns, every_address_here, web};
use crate::peers::{e2e, node, python};
use crate::stdio::{Session, odd, said};

pub(super) const WALLS: [&str; 2] = ["isolated", "supervised"];

/// The command line of `upstreams/ways.py`.
pub(super) fn ways() -> Vec<String> {
    let script = e2e().join("upstreams/ways.py").display().to_string();
    vec![
        python("venv").display().to_string(),
        "-I".to_owned(),
        script,
    ]
}

/// A gateway before it at this level; `egress` and `server` join the sections.
pub(super) fn before(level: &str, egress: &str, server: &str) -> Palisade {
    let command = json!(ways());
    Palisade::builder()
        .config(&format!(
            "[egress]\nmax_level = \"{level}\"\n{egress}\n[[server]]\nname = \"test\"\ncommand = {command}\n{server}\n"
        ))
        .start()
}

/// Tries ways out, and finds what the log tells of each.
pub(super) struct Tries<'a> {
    palisade: &'a Palisade,
    session: Session<'a>,
    count: u64,
}

impl<'a> Tries<'a> {
    pub(super) async fn of(palisade: &'a Palisade) -> Self {
        let session = Session::open(palisade).await;
        Self {
            palisade,
            session,
            count: 0,
        }
    }

    /// What a way gave, and the id of the call.
    pub(super) async fn go(
        &mut self,
        way: &str,
        argument: &Json,
    ) -> (Result<Json, String>, String) {
        self.count += 1;
        let answer = self
            .session
            .call(&json!(self.count), &json!({ way: argument }))
            .await;
        let id = answer.header("x-request-id").unwrap().to_owned();
        let mut answer = said(&answer);
        let result = match answer["failed"].as_str() {
            Some(failed) => Err(failed.to_owned()),
            None => Ok(answer["said"].take()),
        };
        (result, id)
    }

    /// The record of this decision that was made for a call.
    pub(super) fn told(&self, id: &str, decision: &str) -> Json {
        let of_call =
            |record: &Json| record["requestId"] == *id && record["egress"]["decision"] == decision;
        self.palisade.audit_where(1, of_call).remove(0)
    }
}

// REQ: E-3, E-5, L-1
#[tokio::test]
async fn whatever_a_command_tries_is_judged_and_told_with_its_call() {
    if !namespace::entered("jail::serve::whatever_a_command_tries_is_judged_and_told_with_its_call")
    {
        return;
    }
    every_address_here();
    let _web = web();
    let dns = dns();
    // Something of this machine's, that no policy opens.
    let bait = TcpListener::bind("127.0.0.1:0").unwrap();
    bait.set_nonblocking(true).unwrap();
    let bait_at = bait.local_addr().unwrap();
    // Something that speaks first, in no protocol of the web.
    let database = TcpListener::bind("10.1.2.3:5432").unwrap();
    thread::spawn(move || {
        for mut stream in database.incoming().map_while(Result::ok) {
            let _ = stream.write_all(b"who are you? ");
            let mut answer = [0; 3];
            let _ = stream.read_exact(&mut answer);
            let _ = stream.write_all(&answer);
        }
    });
    for level in WALLS {
        let egress = format!("dns = \"{dns}\"\nallow_special = [\"10.1.2.3:5432\"]");
        let palisade = before(level, &egress, "");
        let mut tries = Tries::of(&palisade).await;
        for (way, argument, code, form) in [
            (
                "fetch",
                "http://public.example/",
                "egress.allow.public",
                "transparent",
            ),
            (
                "fetch_as_told",
                "http://public.example/",
                "egress.allow.public",
                "absolute",
            ),
            (
                "fetch",
                "http://93.184.216.34/",
                "egress.allow.public",
                "transparent",
            ),
            (
                "speak",
                "10.1.2.3:5432",
                "egress.allow.special",
                "transparent",
            ),
            (
                "fetch",
                "http://169.254.169.254/",
                "egress.address.platform",
                "transparent",
            ),
            (
                "fetch_as_told",
                "http://169.254.169.254/",
                "egress.address.platform",
                "absolute",
            ),
            (
                "fetch",
                "http://10.0.0.1/",
                "egress.address.private",
                "transparent",
            ),
            (
                "fetch",
                "http://inside.example/",
                "egress.address.private",
                "transparent",
            ),
            (
                "fetch",
                "http://127.0.0.1/",
                "egress.address.loopback",
                "transparent",
            ),
            (
                "fetch",
                &format!("http://{bait_at}/"),
                "egress.address.loopback",
                "transparent",
            ),
            (
                "fetch",
                &format!("http://[::1]:{}/", bait_at.port()),
                "egress.address.loopback",
                "transparent",
            ),
            (
                "speak",
                "93.184.216.34:25",
                "egress.port.not_allowed",
                "transparent",
            ),
            (
                "name",
                "metadata.google.internal",
                "egress.host.metadata",
                "dns",
            ),
            // The site leads to the metadata service.
            (
                "fetch",
                "http://redirect.example/",
                "egress.address.platform",
                "transparent",
            ),
        ] {
            let (result, id) = tries.go(way, &json!(argument)).await;
            let told = tries.told(&id, code);
            assert_eq!(
                (&told["egress"]["form"], &told["egress"]["level"]),
                (&json!(form), &json!(level)),
                "{level} {argument}: {result:?} {told}"
            );
            assert_eq!(
                (&told["tool"], &told["server"], &told["egress"]["child"]),
                (&json!("do"), &json!("test"), &json!(1)),
            );
            let allowed = code.starts_with("egress.allow.");
            assert_eq!(result.is_ok(), allowed, "{level} {argument}: {result:?}");
            assert_eq!(told["outcome"], if allowed { "ok" } else { "denied" });
        }
        // Public at the first lookup, this machine's loopback at the second.
        let mut rebound = Vec::new();
        for _ in 0..3 {
            let (result, id) = tries.go("fetch", &json!("http://rebind.example/")).await;
            rebound.push(result.is_ok());
            let decision = match result {
                Ok(_) => "egress.allow.public",
                Err(_) => "egress.address.loopback",
            };
            tries.told(&id, decision);
        }
        assert!(!rebound[1] && !rebound[2], "{level}: {rebound:?}");
        assert!(bait.accept().is_err(), "{level}: something arrived");
        // A child of its own that serves on loopback; at every address, too.
        for address in ["127.0.0.1", "0.0.0.0", ""] {
            let (result, _) = tries.go("own", &json!(address)).await;
            assert_eq!(
                result,
                Ok(json!(["own", "own", "own"])),
                "{level} {address:?}"
            );
        }
        // Node, which heeds the proxy's variables from 22 on, and curl.
        let script = "fetch('http://public.example/').then(a => a.text()).then(console.log)";
        let node = json!([node().display().to_string(), "-e", script]);
        for program in [node, json!(["curl", "-sS", "http://public.example/"])] {
            let (result, id) = tries.go("run", &program).await;
            assert_eq!(
                result.as_ref().ok().and_then(Json::as_str).map(str::trim),
                Some("the page"),
                "{level} {program}: {result:?}"
            );
            tries.told(&id, "egress.allow.public");
        }
    }
}

/// Nobody is left to answer the kernel, so the command has no network for the moment that it lives
/// on.
// REQ: E-3
#[tokio::test]
async fn a_command_of_a_killed_gateway_has_no_network() {
    for level in WALLS {
        let target = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = target.local_addr().unwrap();
        thread::spawn(move || {
            for mut stream in target.incoming().map_while(Result::ok) {
                let _ = stream.write_all(b"x");
            }
        });
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("tries");
        let mut palisade = before(level, &format!("allow_special = [\"{at}\"]"), "");
        let mut tries = Tries::of(&palisade).await;
        let arguments = json!([at.to_string(), file]);
        assert_eq!(
            tries.go("keep_trying", &arguments).await.0,
            Ok(json!("started"))
        );
        drop(tries);
        let text = || std::fs::read_to_string(&file).unwrap_or_default();
        let until = Instant::now() + PATIENCE;
        while text().matches('y').count() < 3 {
            assert!(Instant::now() < until, "{level}: {:?}", text());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(!text().contains('n'), "{level}: {}", text());
        palisade.signal(Signal::KILL);
        palisade.wait();
        // One may have been under way.
        let before = text().matches('y').count();
        let mut last = String::new();
        loop {
            tokio::time::sleep(Duration::from_secs(2)).await;
            let now = text();
            if now == last {
                break;
            }
            last = now;
            assert!(Instant::now() < until + PATIENCE, "{level}: it lives on");
        }
        assert!(
            last.matches('y').count() <= before + 1,
            "{level}: {before} {last}"
        );
        assert!(
            last.ends_with('n'),
            "{level}: it was not seen without: {last}"
        );
    }
}

/// As where a container's runtime or the administrator refuses them.
const NO_NAMESPACES: &str = "exec unshare --user --map-root-user sh -c 'echo 0 > /proc/sys/user/max_user_namespaces; exec \"$0\" \"$@\"' \"$@\"";

// REQ: E-3
#[test]
fn the_level_in_force_is_said_at_start() {
    let start = |egress: &str, server: &str, script: &str| {
        let command = json!(odd(""));
        let builder = Palisade::builder().config(&format!(
            "[egress]\n{egress}\n[[server]]\nname = \"test\"\ncommand = {command}\n{server}\n"
        ));
        let builder = if script.is_empty() {
            builder
        } else {
            builder.shell(script)
        };
        builder.start().stderr()
    };
    let isolated = start("", "", "");
    for text in [
        "  isolated: a network of its own, whose only way out is the proxy; the public internet",
        "  tried every way out, and found none",
    ] {
        assert!(isolated.contains(text), "{text}: {isolated}");
    }
    let supervised = start("", "egress = [\"api.example.com\"]", NO_NAMESPACES);
    for text in [
        "supervised: every connection passes the supervisor; 1 host",
        "not isolated: the jail cannot be built: namespaces: ",
    ] {
        assert!(supervised.contains(text), "{text}: {supervised}");
    }
    let advisory = start("max_level = \"advisory\"", "", "");
    for text in [
        "advisory: told by proxy variables, which the command may ignore",
        "could not contain: tcp over IPv4, ",
        "unix socket by path",
        "highest level",
    ] {
        assert!(advisory.contains(text), "{text}: {advisory}");
    }
    // What would fail at the first call is said before it.
    for (lines, warns) in [("", true), ("sockets = [\"/run/docker.sock\"]", false)] {
        let palisade = Palisade::builder()
            .config(&format!(
                "[[server]]\nname = \"test\"\ncommand = [\"docker\", \"run\", \"-i\", \"some/server\"]\n{lines}\n"
            ))
            .start();
        let warned = palisade.stderr().contains("the command starts a container");
        assert_eq!(warned, warns, "{}", palisade.stderr());
    }
    for said in [isolated, supervised, advisory] {
        assert!(!said.contains("protected"), "{said}");
    }
}

// REQ: E-3
#[test]
fn a_command_is_not_started_below_the_level_that_it_must_have() {
    let command = json!(odd(""));
    let listed = "egress = [\"api.example.com\"]";
    for (egress, server, script, wanted) in [
        (
            "min_level = \"isolated\"",
            "max_level = \"supervised\"",
            "",
            &[
                "must be isolated (`egress.min_level`)",
                "would be supervised",
                "`max_level`",
            ][..],
        ),
        (
            "",
            "egress = [\"api.example.com\"]\nmax_level = \"advisory\"",
            "",
            &[
                "must be supervised (it has an allowlist)",
                "would be advisory",
            ],
        ),
        (
            "max_level = \"advisory\"",
            listed,
            "",
            &["it has an allowlist"],
        ),
        (
            "min_level = \"isolated\"",
            "",
            NO_NAMESPACES,
            &[
                "would be supervised",
                "not isolated: the jail cannot be built: namespaces: ",
            ],
        ),
    ] {
        let builder = Palisade::builder().config(&format!(
            "[egress]\n{egress}\n[[server]]\nname = \"test\"\ncommand = {command}\n{server}\n"
        ));
        let builder = if script.is_empty() {
            builder
        } else {
            builder.shell(script)
        };
        let ended = builder.fail();
        assert_eq!(ended.code, Some(2), "{}", ended.stderr);
        for text in wanted
            .iter()
            .chain(&["server `test`", "min_level = \"advisory\""])
        {
            assert!(ended.stderr.contains(text), "{text}: {}", ended.stderr);
        }
    }
    let config = format!(
        "[egress]\nmin_level = \"advisory\"\nmax_level = \"advisory\"\n[[server]]\nname = \"test\"\ncommand = {command}\n{listed}\n"
    );
    let palisade = Palisade::builder().config(&config).start();
    palisade
        .wait_for_stderr("advisory: told by proxy variables, which the command may ignore; 1 host");
}

/// What is fetched before has an allowlist of its own, and the command cannot reach it later.
// REQ: E-3, E-5
#[tokio::test]
async fn what_is_installed_first_has_its_own_allowlist() {
    if !namespace::entered("jail::serve::what_is_installed_first_has_its_own_allowlist") {
        return;
    }
    every_address_here();
    let _web = web();
    let dns = dns();
    let python = python("venv").display().to_string();
    let script = "import sys, urllib.request as u; open('fetched', 'wb').write(u.urlopen('http://packages.example/').read()); print('done')";
    let install = json!([python, "-c", script]);
    for level in WALLS {
        let server = format!(
            "directory = \".\"\negress = [\"public.example\"]\ninstall = {{ command = {install}, egress = [\"packages.example\"] }}"
        );
        let palisade = before(level, &format!("dns = \"{dns}\""), &server);
        assert_eq!(
            std::fs::read_to_string(palisade.path("fetched")).unwrap(),
            "the page"
        );
        palisade.wait_for_stderr("done");
        let of = |record: &Json| record["egress"]["decision"] == "egress.allow.listed";
        let fetched = palisade.audit_where(1, of).remove(0);
        assert_eq!(
            (
                &fetched["server"],
                &fetched["egress"]["host"],
                &fetched["egress"]["level"]
            ),
            (
                &json!("test.install"),
                &json!("packages.example"),
                &json!(level)
            )
        );
        let mut tries = Tries::of(&palisade).await;
        let (result, id) = tries
            .go("fetch_as_told", &json!("http://packages.example/"))
            .await;
        assert!(result.is_err(), "{level}: {result:?}");
        tries.told(&id, "egress.host.not_listed");
        let (result, _) = tries.go("fetch", &json!("http://packages.example/")).await;
        assert!(result.is_err(), "{level}: {result:?}");
        let (result, _) = tries.go("fetch", &json!("http://public.example/")).await;
        assert_eq!(result, Ok(json!("the page")), "{level}");
        let (environment, _) = tries.go("environment", &json!(null)).await;
        let environment = environment.unwrap();
        assert_eq!(
            (
                &environment["npm_config_offline"],
                &environment["UV_OFFLINE"]
            ),
            (&json!("true"), &json!("1"))
        );
    }
    // One that fails ends the start, with what it said.
    let command = json!(ways());
    for (install, wanted) in [
        (
            json!({ "command": [python, "-c", "raise SystemExit('no such package')"] }),
            "it last wrote: no such package",
        ),
        (
            json!({ "command": ["no-such-program-anywhere"] }),
            "no program no-such-program-anywhere",
        ),
        (
            json!({ "command": [python, "-c", "import time; time.sleep(600)"], "timeout": "1s" }),
            "did not end within 1 s",
        ),
        (
            json!({ "command": install, "egress": [] }),
            "the audit log says what it was refused",
        ),
    ] {
        let mut server = toml::Table::new();
        server.insert("name".to_owned(), "test".into());
        server.insert(
            "command".to_owned(),
            toml::Value::try_from(&command).unwrap(),
        );
        server.insert(
            "install".to_owned(),
            toml::Value::try_from(&install).unwrap(),
        );
        let mut config = toml::Table::new();
        config.insert("server".to_owned(), vec![toml::Value::Table(server)].into());
        let ended = Palisade::builder().config(&config.to_string()).fail();
        assert_eq!(ended.code, Some(2), "{}", ended.stderr);
        for text in [wanted, "`install` of server `test` failed"] {
            assert!(ended.stderr.contains(text), "{text}: {}", ended.stderr);
        }
    }
}

/// `npx` and `uvx` with a registry on loopback: as they are, and with the package fetched before and
/// nothing to be reached by the server.
// REQ: E-3
#[tokio::test]
async fn package_runners_work_as_they_are_and_with_their_package_fetched_before() {
    let mut registry = Command::new(python("venv"))
        .arg(e2e().join("upstreams/registry.py"))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut port = String::new();
    let mut stdout = BufReader::new(registry.stdout.take().unwrap());
    stdout.read_line(&mut port).unwrap();
    let at = format!("127.0.0.1:{}", port.trim());
    let uvx = python("venv-uv")
        .with_file_name("uvx")
        .display()
        .to_string();
    let own = python("venv").display().to_string();
    let runners = [
        (
            json!(["npx", "-y", "tiny-server@1.2.3"]),
            format!("npm_config_registry=http://{at}/"),
        ),
        (
            json!([uvx, "--python", own, "tiny-server@1.2.3"]),
            format!("UV_DEFAULT_INDEX=http://{at}/simple"),
        ),
    ];
    let listed = format!("egress = []\ninstall = {{ egress = [\"{at}\"] }}");
    for level in WALLS {
        for (command, variable) in &runners {
            for lines in ["", &listed] {
                let palisade = Palisade::builder()
                    .config(&format!(
                        "[egress]\nmax_level = \"{level}\"\nallow_special = [\"{at}\"]\n[[server]]\nname = \"test\"\ncommand = {command}\n\
                         environment = [\"{variable}\"]\n{lines}\n"
                    ))
                    .start();
                // Its first answer.
                Session::open(&palisade).await;
                let fetched = palisade.audit_where(1, |record| {
                    record["egress"]["decision"].is_string() && record["outcome"] == "ok"
                });
                let by = if lines.is_empty() {
                    "test"
                } else {
                    "test.install"
                };
                for record in fetched {
                    assert_eq!(record["server"], by, "{level} {command}: {record}");
                }
            }
        }
    }
    registry.kill().unwrap();
    registry.wait().unwrap();
}

/// Two children at once: each decision is told of the child that it was made for, and of the call
/// that is under way in that one.
// REQ: E-3, L-1
#[tokio::test]
async fn children_are_told_apart() {
    for level in WALLS {
        let palisade = before(level, "", "");
        let (mut one, mut two) = (Tries::of(&palisade).await, Tries::of(&palisade).await);
        let url = json!("http://169.254.169.254/");
        let ((_, first), (_, second)) = tokio::join!(one.go("fetch", &url), two.go("fetch", &url));
        let child = |tries: &Tries<'_>, id: &str| {
            let told = tries.told(id, "egress.address.platform");
            told["egress"]["child"].clone()
        };
        let mut children = [child(&one, &first), child(&two, &second)].map(|c| c.as_u64());
        children.sort_unstable();
        assert_eq!(children, [Some(1), Some(2)], "{level}");
    }
}
