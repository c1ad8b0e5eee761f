//! The official conformance suite, directly and through Palisade over TLS, check by check.
//!
//! All three servers are tested in both modes of `upstream_host`: the two that check `Host`
//! themselves let any `localhost` in, which is what the suite calls the gateway.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on says so by a panic"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use e2e::Palisade;

use crate::peers::{Kind, Program, Ran, Server, directory, e2e, gateway, room, say, url};

const REVISIONS: [&str; 2] = ["2025-11-25", "2026-07-28"];

/// Both sets of one server take about ten seconds alone on a machine.
const LIMIT: Duration = Duration::from_secs(240);

// REQ: G-1, G-2, G-3, G-13, G-14, G-15, H-0, H-3
#[tokio::test]
async fn python() {
    same_through_palisade(Kind::Python).await;
}

// REQ: G-1, G-2, G-3, G-13, G-14, G-15, H-0, H-3
#[tokio::test]
async fn rmcp() {
    same_through_palisade(Kind::Rmcp).await;
}

// REQ: G-1, G-2, G-3, G-13, G-15, H-0, H-3
#[tokio::test]
async fn everything() {
    same_through_palisade(Kind::Everything).await;
}

async fn same_through_palisade(kind: Kind) {
    let _room = room().await;
    let server = Server::start(kind);
    let results = directory().join("conformance");
    let name = kind.name();
    // What these two leave out is not scored; everything knows neither the fixtures nor 2026-07-28.
    let all_pass = kind != Kind::Everything;

    let direct = format!("{name}-direct");
    let ran = suite(&direct, server.url(), &results).await;
    assert_eq!(ran.code, Some(i32::from(!all_pass)), "{}", ran.said);
    for revision in REVISIONS {
        // A suite or a server that is not well today would make every comparison easy.
        let file = format!("conformance/baseline/{name}-{revision}.tsv");
        let direct = results.join(format!("{direct}-{revision}.tsv"));
        compare(&e2e().join(file), &direct, false).await;
    }

    for mode in ["rewrite", "preserve"] {
        let palisade = gateway(&server, "/mcp", mode);
        let through = format!("{name}-{mode}");
        let ran = suite(&through, &url(&palisade, "/mcp"), &results).await;
        assert_eq!(ran.code, Some(i32::from(!all_pass)), "{}", ran.said);
        for revision in REVISIONS {
            let file = |of: &str| results.join(format!("{of}-{revision}.tsv"));
            compare(&file(&direct), &file(&through), true).await;
            // The server that does not know 2026-07-28 refuses the call that Palisade lets in.
            let lets_in = all_pass || revision == REVISIONS[0];
            stops_rebinding(&file(&through), lets_in);
        }
        refuses_nothing_else(&palisade, kind);
    }
}

/// Runs both sets of the suite; prints what it counted.
async fn suite(name: &str, url: &str, results: &Path) -> Ran {
    let results = results.display().to_string();
    let ran = Program::node("conformance/run.mjs")
        .arguments(&[name, url, &results])
        .ca()
        .run(LIMIT)
        .await;
    say(&ran.report.to_string());
    ran
}

/// Fails where a check is worse than before, or better without standing in the list.
async fn compare(before: &Path, after: &Path, better: bool) {
    let list = e2e().join("conformance/allowed-better.txt");
    let list = list.display().to_string();
    let files = [before.display().to_string(), after.display().to_string()];
    let mut program = Program::node("conformance/compare.mjs").arguments(&[&files[0], &files[1]]);
    if better {
        program = program.arguments(&["--better", &list]);
    }
    let ran = program.run(Duration::from_secs(30)).await;
    let name = after.file_stem().unwrap_or_default().to_string_lossy();
    say(&format!("{name}: {}", ran.report));
    assert_eq!(ran.code, Some(0), "{}", ran.said);
}

/// The scenario that the specification's DNS rebinding demand is tested by.
fn stops_rebinding(tsv: &PathBuf, lets_in: bool) {
    let text = fs::read_to_string(tsv).unwrap();
    let found: BTreeMap<&str, &str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("dns-rebinding-protection\t"))
        .filter_map(|line| line.split_once('\t'))
        .collect();
    let accepted = if lets_in { "SUCCESS" } else { "FAILURE" };
    let wanted = BTreeMap::from([
        ("localhost-host-rebinding-rejected", "SUCCESS"),
        ("localhost-host-valid-accepted", accepted),
    ]);
    let relevant: BTreeMap<&str, &str> = found
        .into_iter()
        .filter(|(id, _)| id.starts_with("localhost-"))
        .collect();
    assert_eq!(relevant, wanted, "{}", tsv.display());
}

/// Palisade refuses what the suite forges, once for each set, and nothing else: most of all no
/// header of 2026-07-28 before a server that does not know that revision.
fn refuses_nothing_else(palisade: &Palisade, kind: Kind) {
    let is_refusal = |record: &serde_json::Value| record["reason"].is_string();
    let rebinding = palisade.audit_where(REVISIONS.len(), |record| {
        record["reason"] == "host.not_allowed"
    });
    assert_eq!(rebinding.len(), REVISIONS.len());
    let refusals = palisade.audit_where(rebinding.len(), is_refusal);
    let mut counts = BTreeMap::<&str, usize>::new();
    for refusal in &refusals {
        let reason = refusal["reason"].as_str().unwrap();
        *counts.entry(reason).or_default() += 1;
    }
    say(&format!("refused: {counts:?}"));
    counts.remove("host.not_allowed");
    let forged = counts.remove("message.header_mismatch");
    assert_eq!(forged.is_some(), kind != Kind::Everything, "{refusals:?}");
    assert_eq!(counts, BTreeMap::new(), "{refusals:?}");
}
