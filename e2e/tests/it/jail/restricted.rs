//! `palisade serve -- COMMAND` under a filter of system calls like a container runtime's default:
//! there are no namespaces, and *supervised* holds.

use std::net::TcpListener;
use std::thread;

use e2e::{Palisade, namespace};
use serde_json::{Value as Json, json};

use super::container;
use super::serve::{Tries, ways};
use crate::egress::{dns, every_address_here, web};
use crate::peers::node;

// REQ: E-3
#[tokio::test]
async fn in_a_container_it_is_supervised() {
    if !namespace::entered("jail::restricted::in_a_container_it_is_supervised") {
        return;
    }
    every_address_here();
    let _web = web();
    let dns = dns();
    let bait = TcpListener::bind("127.0.0.1:0").unwrap();
    bait.set_nonblocking(true).unwrap();
    let bait_at = bait.local_addr().unwrap();
    // The filter holds for the thread, and for all that it starts.
    let starting = thread::spawn(move || {
        container::apply();
        let command = ways();
        let mut words = vec!["--"];
        words.extend(command.iter().map(String::as_str));
        Palisade::builder()
            .config(&format!("[egress]\ndns = \"{dns}\"\n"))
            .arguments(&words)
            .start()
    });
    let palisade = starting.join().unwrap();
    let filters = std::fs::read_to_string(format!("/proc/{}/status", palisade.pid())).unwrap();
    assert!(filters.contains("Seccomp:\t2\n"), "{filters}");
    let said = palisade.stderr();
    for text in [
        "  supervised: every connection passes the supervisor; the public internet",
        "  tried every way out, and found none",
        "not isolated: the jail cannot be built: namespaces: ",
    ] {
        assert!(said.contains(text), "{text}: {said}");
    }
    assert!(!said.contains("protected"), "{said}");

    let mut tries = Tries::of(&palisade).await;
    let bait_url = format!("http://{bait_at}/");
    for (way, argument, code) in [
        ("fetch", "http://public.example/", "egress.allow.public"),
        (
            "fetch_as_told",
            "http://public.example/",
            "egress.allow.public",
        ),
        ("fetch", "http://93.184.216.34/", "egress.allow.public"),
        (
            "fetch",
            "http://169.254.169.254/",
            "egress.address.platform",
        ),
        (
            "fetch_as_told",
            "http://169.254.169.254/",
            "egress.address.platform",
        ),
        ("fetch", "http://inside.example/", "egress.address.private"),
        (
            "fetch",
            "http://redirect.example/",
            "egress.address.platform",
        ),
        ("fetch", &bait_url, "egress.address.loopback"),
        ("speak", "93.184.216.34:25", "egress.port.not_allowed"),
        ("name", "metadata.google.internal", "egress.host.metadata"),
    ] {
        let (result, id) = tries.go(way, &json!(argument)).await;
        let told = tries.told(&id, code);
        assert_eq!(told["egress"]["level"], "supervised", "{told}");
        let allowed = code.starts_with("egress.allow.");
        assert_eq!(result.is_ok(), allowed, "{argument}: {result:?}");
    }
    let script = "require('http').get('http://public.example/', a => a.on('data', d => console.log(String(d))))";
    let node = json!([node().display().to_string(), "-e", script]);
    for program in [node, json!(["curl", "-sS", "http://public.example/"])] {
        let (result, id) = tries.go("run", &program).await;
        assert_eq!(
            result.as_ref().ok().and_then(Json::as_str).map(str::trim),
            Some("the page"),
            "{program}: {result:?}"
        );
        tries.told(&id, "egress.allow.public");
    }
    let (result, _) = tries
        .go("run", &json!(["curl", "-sS", "--noproxy", "*", &bait_url]))
        .await;
    assert!(result.is_err(), "{result:?}");
    assert!(bait.accept().is_err(), "something arrived");
}
