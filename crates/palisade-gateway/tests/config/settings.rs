//! Properties of the resolved settings and of the schema.

use std::net::SocketAddr;
use std::path::Path;

use palisade_gateway::config::{Flags, Overview, Settings, resolve, schema};
use palisade_gateway::egress::Levels;
use serde_json::Value as Json;

const SERVER: &str = "\n[[server]]\nname = \"files\"\nupstream = \"http://127.0.0.1:3000/mcp\"\n";

fn settings(text: &str) -> Settings {
    let text = format!("{text}{SERVER}");
    let (settings, problems) = resolve(
        Some((Path::new("palisade.toml"), &text)),
        [],
        &Flags::default(),
    );
    assert!(!problems.has_errors(), "{}", problems.render(false));
    settings
}

fn hosts(settings: &Settings, address: &str) -> Vec<String> {
    let address: SocketAddr = address.parse().unwrap();
    settings
        .hosts_on(address)
        .iter()
        .map(|host| host.to_string())
        .collect()
}

// REQ: H-1
#[test]
fn loopback_names_are_hosts_on_loopback_listeners_alone() {
    let settings = settings("hosts = [\"mcp.example.com\", \"localhost\"]\n");
    for address in [
        "127.0.0.1:80",
        "127.8.9.1:80",
        "[::1]:80",
        "[::ffff:127.0.0.1]:80",
    ] {
        assert_eq!(
            hosts(&settings, address),
            ["mcp.example.com", "localhost", "127.0.0.1", "[::1]"],
            "{address}"
        );
    }
    for address in ["0.0.0.0:80", "[::]:80", "192.0.2.1:80", "[2001:db8::1]:80"] {
        assert_eq!(
            hosts(&settings, address),
            ["mcp.example.com", "localhost"],
            "{address}"
        );
    }
}

// REQ: H-3
#[test]
fn the_gateways_own_origins() {
    let address: SocketAddr = "127.0.0.1:8080".parse().unwrap();
    assert_eq!(
        settings("").own_origins_on(address),
        [
            "http://localhost:8080",
            "http://127.0.0.1:8080",
            "http://[::1]:8080"
        ]
    );
    let with_tls = settings(
        "hosts = [\"mcp.example.com\", \"other.example.com:9443\"]\npublic_url = \"https://mcp.example.com:444\"\n[tls]\nlocal = true\n",
    );
    assert_eq!(
        with_tls.own_origins_on("192.0.2.1:8443".parse().unwrap()),
        [
            "https://mcp.example.com:444",
            "https://mcp.example.com",
            "https://mcp.example.com:8443",
            "https://other.example.com:9443",
        ]
    );
}

/// Behind a proxy that ends TLS a plain-HTTP page of the same name is a stranger.
// REQ: H-3
#[test]
fn own_origins_behind_another_proxy() {
    let fronted =
        settings("hosts = [\"mcp.example.com\"]\npublic_url = \"https://mcp.example.com\"\n");
    assert_eq!(
        fronted.own_origins_on("127.0.0.1:8080".parse().unwrap()),
        [
            "https://mcp.example.com",
            "http://localhost:8080",
            "http://127.0.0.1:8080",
            "http://[::1]:8080",
        ]
    );
}

// REQ: U-4
#[test]
fn the_table_at_start() {
    let sample = include_str!("cases/contract_sample.toml");
    let (settings, _) = resolve(
        Some((Path::new("palisade.toml"), sample)),
        [],
        &Flags::default(),
    );
    let url = Flags {
        url: Some("http://127.0.0.1:3000/mcp".to_owned()),
        dev: true,
        ..Flags::default()
    };
    let (plain, _) = resolve(None, [], &url);
    let bound = ["127.0.0.1:40123".parse().unwrap()];
    insta::assert_snapshot!(format!(
        "{}\n{}",
        Overview::table(&settings.overview(&[], &Levels::default())),
        Overview::table(&plain.overview(&bound, &Levels::default()))
    ));
}

/// The defaults stand in the schema for readers and in the code for machines: both must agree.
// REQ: G-8
#[test]
fn the_schema_tells_the_true_defaults() {
    let mut lines = String::new();
    let mut count = 0;
    collect_defaults(&schema(), "", &mut lines, &mut count);
    assert!(count > 40, "only {count} defaults were found");
    let said = settings(&lines);
    let unsaid = settings("");
    let values = |settings: &Settings| -> Vec<(String, Json)> {
        settings
            .rows()
            .into_iter()
            .map(|row| (row.key, row.value))
            .filter(|(key, _)| !key.starts_with("server."))
            .collect()
    };
    assert_eq!(values(&said), values(&unsaid));
}

/// Keys whose section says nothing by them alone.
const ALONE: [&str; 3] = [
    "auth.certificate.identity",
    "proxy.client_address",
    "tls.client_auth",
];

fn collect_defaults(schema: &Json, path: &str, lines: &mut String, count: &mut usize) {
    let Some(properties) = schema["properties"].as_object() else {
        return;
    };
    for (key, inner) in properties {
        let path = if path.is_empty() {
            key.clone()
        } else {
            format!("{path}.{key}")
        };
        let alternatives = inner["anyOf"].as_array().cloned().unwrap_or_default();
        for table in alternatives.iter().chain([inner]) {
            collect_defaults(table, &path, lines, count);
        }
        match inner.get("default") {
            None | Some(Json::Object(_)) => {}
            // The section cannot stand without a certificate.
            Some(default) if path == "tls.profile" => assert_eq!(default, "intermediate"),
            Some(_) if path == "tls.redirect" => {}
            // Nor these without what they are about.
            Some(_) if ALONE.contains(&path.as_str()) => {}
            Some(default) => {
                *count += 1;
                lines.push_str(&format!("{path} = {default}\n"));
            }
        }
    }
}

// REQ: G-8
#[test]
fn the_schema_refuses_unknown_keys_and_has_no_null() {
    let text = schema().to_string();
    assert!(!text.contains("null"), "TOML has no null");
    let closed = text.matches("\"additionalProperties\":false").count();
    assert!(closed >= 20, "only {closed} tables are closed");
    assert_eq!(
        schema()["properties"]["server"]["items"]["required"],
        serde_json::json!(["name"])
    );
    assert_eq!(
        schema()["properties"]["server"]["items"]["oneOf"],
        serde_json::json!([{ "required": ["upstream"] }, { "required": ["command"] }])
    );
}

/// Machines get the same problems: place and remedy in fields of their own.
// REQ: G-8
#[test]
fn problems_as_json() {
    let text = format!("hosts = [\"*\"]\n{SERVER}");
    let environment = [("PALISADE_RATE__PEER".to_owned(), "fast".to_owned())];
    let (_, problems) = resolve(
        Some((Path::new("palisade.toml"), &text)),
        environment,
        &Flags::default(),
    );
    insta::assert_snapshot!(serde_json::to_string_pretty(&problems.to_json()).unwrap());
}

// REQ: G-8
#[test]
fn colour_only_where_asked() {
    let (_, problems) = resolve(None, [], &Flags::default());
    assert!(!problems.render(false).contains('\u{1b}'));
    assert!(problems.render(true).contains('\u{1b}'));
}

/// Whatever the bytes, reading neither panics nor hangs, and every error has a remedy.
#[test]
fn mutilated_files_are_only_problems() {
    let sample = include_str!("cases/contract_sample.toml");
    for (index, _) in sample.char_indices() {
        let cut = &sample[..index];
        let hole = format!("{cut}{}", sample.get(index + 1..).unwrap_or_default());
        for text in [cut, hole.as_str()] {
            let (_, problems) = resolve(
                Some((Path::new("palisade.toml"), text)),
                [],
                &Flags::default(),
            );
            let rendered = problems.render(false);
            for problem in problems.iter() {
                assert!(problem.remedy.is_some(), "{rendered}");
            }
        }
    }
}

#[test]
fn deep_nesting_is_refused() {
    let text = format!("hosts = {}{}", "[".repeat(100_000), "]".repeat(100_000));
    let (_, problems) = resolve(
        Some((Path::new("palisade.toml"), &text)),
        [],
        &Flags::default(),
    );
    assert!(problems.has_errors());
}

/// A file of nothing but mistakes costs no more than one of a hundred.
#[test]
fn a_file_of_mistakes_is_read_quickly() {
    let mut text = String::new();
    for index in 0..40_000 {
        text.push_str(&format!("{:a<64} = 1\n", format!("key{index}_")));
    }
    let started = std::time::Instant::now();
    let (_, problems) = resolve(
        Some((Path::new("palisade.toml"), &text)),
        [],
        &Flags::default(),
    );
    assert!(
        problems.render(false).contains("and 39"),
        "{}",
        problems.iter().count()
    );
    assert!(started.elapsed() < std::time::Duration::from_secs(60));
}

// REQ: G-8
#[test]
fn a_long_list_is_refused() {
    let hosts: Vec<_> = (0..1001)
        .map(|index| format!("\"h{index}.example.com\""))
        .collect();
    let servers: String = (0..1001)
        .map(|index| {
            format!(
                "[[server]]\nname = \"s{index}\"\nupstream = \"http://127.0.0.1:3000/{index}\"\n"
            )
        })
        .collect();
    let text = format!("hosts = [{}]\n{servers}", hosts.join(","));
    let (_, problems) = resolve(
        Some((Path::new("palisade.toml"), &text)),
        [],
        &Flags::default(),
    );
    let causes: Vec<_> = problems
        .iter()
        .map(|problem| problem.cause.as_str())
        .collect();
    assert_eq!(
        causes,
        [
            "it has more than 1,000 entries",
            "there are more than 1,000 servers"
        ]
    );
}
