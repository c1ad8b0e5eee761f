//! Each `cases/*.toml` is a configuration; its snapshot holds every problem as it is rendered and,
//! where there is no error, every value that does not come from the defaults.
//!
//! Lines `#: env NAME=VALUE` and `#: flag NAME VALUE` at the top of a case set the environment and
//! the command line. `cargo insta review` or `INSTA_UPDATE=always` accepts what changed.

use std::fs;
use std::path::{Path, PathBuf};

use palisade_gateway::config::{Flags, Source, resolve};

// REQ: G-8, G-4, G-7, G-11, H-0, S-3, T-5, C-2, C-5
#[test]
fn every_case_has_its_snapshot() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config/cases");
    let mut cases: Vec<PathBuf> = fs::read_dir(&directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "toml")
        })
        .collect();
    cases.sort();
    assert!(cases.len() >= 40, "only {} cases were found", cases.len());
    let mut wrong = Vec::new();
    for case in cases {
        let text = fs::read_to_string(&case).unwrap();
        let name = case.file_stem().unwrap().to_str().unwrap().to_owned();
        let outcome = std::panic::catch_unwind(|| {
            insta::with_settings!({
                prepend_module_to_snapshot => false,
                omit_expression => true,
                snapshot_path => "snapshots",
            }, {
                insta::assert_snapshot!(name.as_str(), outcome(&text));
            });
        });
        if outcome.is_err() {
            wrong.push(name);
        }
    }
    assert!(
        wrong.is_empty(),
        "these cases differ from their snapshots: {wrong:?}"
    );
}

fn outcome(text: &str) -> String {
    let (environment, flags) = directives(text);
    let file = (!text.contains("#: no file")).then(|| (Path::new("palisade.toml"), text));
    let (settings, problems) = resolve(file, environment, &flags);
    let mut out = problems.render(false);
    if problems.has_errors() {
        return out;
    }
    if text.contains("#: show all") {
        out.push_str(&settings.show());
        return out;
    }
    for row in settings.rows() {
        let always = [".path", "hosts"].iter().any(|key| row.key.ends_with(key));
        if row.source != Source::Default || always {
            out.push_str(&format!("{} = {}  # {}\n", row.key, row.value, row.source));
        }
    }
    out
}

fn directives(text: &str) -> (Vec<(String, String)>, Flags) {
    let mut environment = Vec::new();
    let mut flags = Flags::default();
    for line in text.lines().filter_map(|line| line.strip_prefix("#: ")) {
        if let Some((name, value)) = line
            .strip_prefix("env ")
            .and_then(|line| line.split_once('='))
        {
            environment.push((name.to_owned(), value.to_owned()));
        } else if let Some(flag) = line.strip_prefix("flag ") {
            let (name, value) = flag.split_once(' ').unwrap_or((flag, ""));
            match name {
                "URL" => flags.url = Some(value.to_owned()),
                "COMMAND" => flags.command = value.split(' ').map(str::to_owned).collect(),
                "--listen" => flags.listen.push(value.to_owned()),
                "--host" => flags.hosts.push(value.to_owned()),
                "--origin" => flags.origins.push(value.to_owned()),
                "--mode" => flags.mode = Some(value.to_owned()),
                "--workers" => flags.workers = Some(value.parse().unwrap()),
                "--dev" => flags.dev = true,
                other => panic!("no flag {other}"),
            }
        } else {
            assert!(
                line == "no file" || line == "show all",
                "no directive {line}"
            );
        }
    }
    (environment, flags)
}
