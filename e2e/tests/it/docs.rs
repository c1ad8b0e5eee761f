//! The README, the pages under `docs/` and the files under `examples/`, held against the real
//! binary: what they show is accepted, refused or printed as they say.
//!
//! In the pages, a block marked `toml` is a configuration that `palisade config check` accepts
//! (with a server of its own, or in front of one that is given as a URL); `toml,error` is one that
//! it refuses. A `console` block that begins with `$ palisade` is run in a directory that holds the
//! examples, a certificate with its key, and the block before it as `palisade.toml`; a line `…`
//! in it stands for any number of lines.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

// REQ: U-4
#[test]
fn configurations_shown_are_accepted_or_refused_as_said() {
    let (mut accepted, mut refused) = (0, 0);
    for page in pages() {
        for block in blocks(&page) {
            let error = match block.language.as_str() {
                "toml" => false,
                "toml,error" => true,
                _ => continue,
            };
            let place = Place::new();
            place.write("palisade.toml", &block.text);
            let mut arguments = vec!["config", "check", "--config", "palisade.toml"];
            if !block.text.contains("[[server]]") {
                arguments.push(UPSTREAM);
            }
            let output = place.run(&arguments);
            let code = if error { 2 } else { 0 };
            assert_eq!(
                output.status.code(),
                Some(code),
                "{}:{}: {}",
                page.display(),
                block.line,
                said(&output)
            );
            *(if error { &mut refused } else { &mut accepted }) += 1;
        }
    }
    assert!(accepted > 10 && refused > 0, "{accepted}, {refused}");
}

// REQ: U-4
#[test]
fn example_files_are_accepted() {
    let place = Place::new();
    let examples = files(&root().join("examples"), "toml");
    assert!(examples.len() >= 3, "{examples:?}");
    for example in examples {
        let name = example.file_name().and_then(|name| name.to_str()).unwrap();
        let output = place.run(&["config", "check", "--config", name]);
        assert_eq!(output.status.code(), Some(0), "{name}: {}", said(&output));
    }
}

// REQ: U-4
#[test]
fn commands_shown_print_what_is_shown() {
    let mut run = 0;
    for page in pages() {
        let mut last = String::new();
        for block in blocks(&page) {
            if block.language.starts_with("toml") {
                last = block.text;
                continue;
            }
            if block.language != "console" {
                continue;
            }
            let place = Place::new();
            place.write("palisade.toml", &last);
            for (command, expected) in commands(&block.text) {
                let words: Vec<&str> = command.split_whitespace().collect();
                match words.as_slice() {
                    // These do not end by themselves; other tests run them.
                    ["palisade", "serve" | "demo", ..] if !words.contains(&"--help") => {}
                    ["palisade", arguments @ ..] => {
                        let output = place.run(arguments);
                        let said = said(&output);
                        assert!(
                            alike(&expected, &said),
                            "{}:{}: `{command}` prints\n{said}\nand not\n{expected}",
                            page.display(),
                            block.line
                        );
                        run += 1;
                    }
                    _ => {}
                }
            }
        }
    }
    assert!(run >= 4, "{run} commands were run");
}

// REQ: U-4
#[test]
fn every_key_is_documented_with_its_default() {
    let schema = Place::new().run(&["config", "schema"]);
    let schema: Value = serde_json::from_slice(&schema.stdout).unwrap();
    let mut keys = BTreeMap::new();
    keys_of(&schema, "", &mut keys);
    let page = fs::read_to_string(root().join("docs/configuration.md")).unwrap();
    let mut documented = BTreeMap::new();
    let mut keys_follow = false;
    for line in page.lines() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        keys_follow = line.starts_with('|') && (keys_follow || cells[1] == "key");
        if keys_follow
            && let ["", key, default, _, ..] = cells.as_slice()
            && let Some(key) = code(key)
        {
            documented.insert(key.to_owned(), (*default).to_owned());
        }
    }
    let names = |map: &BTreeMap<String, _>| map.keys().cloned().collect::<BTreeSet<_>>();
    let known: BTreeSet<String> = keys.keys().cloned().collect();
    let named = names(&documented);
    let missing: Vec<_> = known.difference(&named).collect();
    let unknown: Vec<_> = named.difference(&known).collect();
    assert!(missing.is_empty(), "not in the page: {missing:?}");
    assert!(unknown.is_empty(), "not in the schema: {unknown:?}");
    for (key, default) in keys {
        let Some(default) = default else { continue };
        let shown = code(&documented[&key]).map(without_spaces);
        let wanted = without_spaces(&default.to_string());
        assert_eq!(shown, Some(wanted), "the default of `{key}`");
    }
}

#[test]
fn reasons_named_exist_and_all_are_explained() {
    let reasons: BTreeSet<&str> = palisade::Reason::ALL
        .iter()
        .map(|reason| reason.code())
        .collect();
    let areas: BTreeSet<&str> = reasons
        .iter()
        .filter_map(|reason| reason.split_once('.'))
        .map(|(area, _)| area)
        .collect();
    let schema = Place::new().run(&["config", "schema"]);
    let schema: Value = serde_json::from_slice(&schema.stdout).unwrap();
    let mut keys = BTreeMap::new();
    keys_of(&schema, "", &mut keys);
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        for name in text.split('`').skip(1).step_by(2) {
            let Some((area, rest)) = name.split_once('.') else {
                continue;
            };
            let plain = |c: char| c.is_ascii_lowercase() || c == '_';
            if rest.is_empty() || !rest.chars().all(plain) || !areas.contains(area) {
                continue;
            }
            assert!(
                reasons.contains(name) || keys.contains_key(name) || FILES.contains(&rest),
                "{}: `{name}` is neither a reason nor a key",
                page.display()
            );
        }
    }
    let page = fs::read_to_string(root().join("docs/troubleshooting.md")).unwrap();
    let explained: BTreeSet<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("### "))
        .flat_map(|title| title.split('`').skip(1).step_by(2))
        .collect();
    assert_eq!(explained, reasons, "headings of docs/troubleshooting.md");
}

/// Each reason by its word alone, as it stands in a record; and what is neither reason nor key.
// REQ: U-3
#[test]
fn explain_says_what_the_pages_say() {
    let place = Place::new();
    for reason in palisade::Reason::ALL {
        let output = place.run(&["explain", reason.code()]);
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{}", reason.code());
        let (heading, rest) = text.split_once("\n\n").unwrap();
        assert!(heading.contains(reason.code()) && rest.len() > 20, "{text}");
    }
    let output = place.run(&["explain", "audit.fail", "--format", "json"]);
    let key: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(key["text"].as_str().unwrap().contains("Default: "), "{key}");
    let output = place.run(&["explain"]);
    let listed = String::from_utf8(output.stdout).unwrap();
    assert_eq!(listed.lines().count(), palisade::Reason::ALL.len());
    let output = place.run(&["explain", "host.allowed"]);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("host.not_allowed"), "{said}");
}

// REQ: U-1, U-4
#[test]
fn the_demo_prints_what_the_readme_shows() {
    let place = Place::new();
    let mut command = place.command(&["demo", "--listen", ANY_PORT, "--listen-tls", ANY_PORT]);
    command.env("XDG_DATA_HOME", place.0.path());
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    let mut demo = Ended(command.spawn().unwrap());
    let mut said = String::new();
    for line in BufReader::new(demo.0.stderr.take().unwrap()).lines() {
        let line = line.unwrap();
        said += &format!("{line}\n");
        // Nothing of interest follows.
        if line.starts_with("Ctrl-C") {
            break;
        }
    }
    let readme = blocks(&root().join("README.md"));
    let shown = readme
        .iter()
        .find(|block| block.text.starts_with("listen "))
        .unwrap();
    let (shown, said) = (without_ports(&shown.text), without_ports(&said));
    assert!(alike(&shown, &said), "{said}\nis not\n{shown}");
}

#[test]
fn json_shown_is_json() {
    let mut found = 0;
    for page in pages() {
        for block in blocks(&page) {
            if block.language != "json" {
                continue;
            }
            for line in block.text.lines() {
                let value: Result<Value, _> = serde_json::from_str(line);
                assert!(value.is_ok(), "{}: {line}", page.display());
                found += 1;
            }
        }
    }
    assert!(found > 0);
}

/// A `rust` block is a piece of an example, which the build compiles.
// REQ: U-4
#[test]
fn code_shown_is_compiled() {
    let trimmed = |text: &str| -> Vec<String> {
        let lines = text.lines().map(|line| line.trim().to_owned());
        lines.filter(|line| !line.is_empty()).collect()
    };
    let examples: Vec<Vec<String>> = files(&root().join("crates/palisade/examples"), "rs")
        .iter()
        .map(|file| trimmed(&fs::read_to_string(file).unwrap()))
        .collect();
    let mut found = 0;
    for page in pages() {
        for block in blocks(&page) {
            if block.language != "rust" {
                continue;
            }
            let shown = trimmed(&block.text);
            let compiled = examples
                .iter()
                .any(|lines| lines.windows(shown.len()).any(|piece| piece == shown));
            let place = format!("{}:{}", page.display(), block.line);
            assert!(compiled, "{place}: in no example of the library");
            found += 1;
        }
    }
    assert!(found > 0);
}

/// Links from page to page lead to files and headings that are there.
#[test]
fn links_lead_somewhere() {
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        for link in text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            if link.contains("://") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = match file {
                "" => page.clone(),
                file => page.with_file_name("").join(file),
            };
            assert!(target.exists(), "{}: {link}", page.display());
            if !anchor.is_empty() {
                let text = fs::read_to_string(&target).unwrap();
                let found = text.lines().any(|line| anchor_of(line) == anchor);
                assert!(found, "{}: {link}", page.display());
            }
        }
    }
}

/// Stands for the server of blocks that name none.
const UPSTREAM: &str = "http://127.0.0.1:3000/mcp";

const ANY_PORT: &str = "127.0.0.1:0";

/// What a file's name ends in, which looks like a reason otherwise.
const FILES: [&str; 4] = ["md", "ndjson", "rs", "toml"];

/// One fenced block of a page.
struct Block {
    language: String,
    /// Where its fence stands.
    line: usize,
    text: String,
}

/// A fresh directory in which the examples' relative paths lead somewhere.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        let certified = rcgen::generate_simple_self_signed(["mcp.example.com".to_owned()]).unwrap();
        place.write("cert.pem", &certified.cert.pem());
        place.write("clients.pem", &certified.cert.pem());
        place.write("key.pem", &certified.signing_key.serialize_pem());
        let key = place.0.path().join("key.pem");
        let owner_only = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        fs::set_permissions(key, owner_only).unwrap();
        let examples = ["toml", "ndjson"].map(|kind| files(&root().join("examples"), kind));
        for example in examples.concat() {
            fs::copy(&example, place.0.path().join(example.file_name().unwrap())).unwrap();
        }
        place
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.0.path().join(name), text).unwrap();
    }

    /// Runs the binary here to its end.
    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// The binary here, without this process's settings.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command.args(arguments).current_dir(self.0.path());
        for (name, _) in std::env::vars_os() {
            let ours = name.to_string_lossy();
            if ours.starts_with("PALISADE_")
                || ["CORS_ALLOWED_ORIGINS", "MCP_ALLOWED_HOST", "SERVER_VERSION"].contains(&&*ours)
            {
                command.env_remove(name);
            }
        }
        // No terminal, so that help is as wide everywhere.
        command.env("NO_COLOR", "1").env_remove("COLUMNS");
        command.stdin(Stdio::null());
        command
    }
}

/// A program that ends when this is dropped.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn binary() -> PathBuf {
    std::env::var_os("PALISADE_BIN")
        .map_or_else(|| root().join("target/debug/palisade"), PathBuf::from)
}

fn pages() -> Vec<PathBuf> {
    let mut pages = files(&root(), "md");
    pages.extend(files(&root().join("docs"), "md"));
    assert!(pages.len() > 6, "{pages:?}");
    pages
}

fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .collect();
    found.sort();
    found
}

fn blocks(page: &Path) -> Vec<Block> {
    let text = fs::read_to_string(page).unwrap();
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for (number, line) in text.lines().enumerate() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(language), None) => {
                open = Some(Block {
                    language: language.trim().to_owned(),
                    line: number + 1,
                    text: String::new(),
                });
            }
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (None, Some(block)) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "{}: a block has no end", page.display());
    blocks
}

/// Each command of a console block with the lines below it.
fn commands(text: &str) -> Vec<(String, String)> {
    let mut commands: Vec<(String, String)> = Vec::new();
    for line in text.lines() {
        if let Some(command) = line.strip_prefix("$ ") {
            commands.push((command.to_owned(), String::new()));
        } else if let Some((_, output)) = commands.last_mut() {
            output.push_str(line);
            output.push('\n');
        }
    }
    commands
}

/// Both outputs of a command, data first.
fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

/// Whether `said` is `expected`, in which a line `…` stands for any lines.
fn alike(expected: &str, said: &str) -> bool {
    fn from(expected: &[&str], said: &[&str]) -> bool {
        match (expected, said) {
            ([], []) => true,
            (["…"], _) => true,
            (["…", rest @ ..], said) => (0..=said.len()).any(|skip| from(rest, &said[skip..])),
            ([line, rest @ ..], [found, others @ ..]) => line == found && from(rest, others),
            _ => false,
        }
    }
    fn lines(text: &str) -> Vec<&str> {
        text.trim_end().lines().map(str::trim_end).collect()
    }
    from(&lines(expected), &lines(said))
}

/// Every key that takes a value, by its dotted name, with its default. Sections that a server
/// repeats are left to the section itself.
fn keys_of(schema: &Value, prefix: &str, keys: &mut BTreeMap<String, Option<Value>>) {
    let Some(properties) = schema["properties"].as_object() else {
        return;
    };
    for (name, inner) in properties {
        let key = format!("{prefix}{name}");
        let repeated = [
            "origin", "headers", "cors", "rate", "limits", "audit", "mode",
        ];
        if prefix == "server." && repeated.contains(&name.as_str()) {
            continue;
        }
        let items = &inner["items"];
        if items["properties"].is_object() {
            keys_of(items, &format!("{key}."), keys);
        } else if inner["properties"].is_object() {
            keys_of(inner, &format!("{key}."), keys);
        } else if inner["additionalProperties"]["properties"].is_object() {
            keys_of(&inner["additionalProperties"], &format!("{key}."), keys);
        } else {
            keys.insert(key.clone(), inner.get("default").cloned());
            // `hsts` is a table or false; `audit.sink` is one form or an array, and the form a word or a table.
            let forms = |schema: &Value| schema["anyOf"].as_array().cloned().unwrap_or_default();
            for form in forms(inner) {
                keys_of(&form, &format!("{key}."), keys);
                for form in forms(&form) {
                    keys_of(&form, &format!("{key}."), keys);
                }
            }
        }
    }
}

/// What stands between the first two backticks of a cell.
fn code(cell: &str) -> Option<&str> {
    cell.split('`').nth(1)
}

/// `text` with one port for all and columns one space apart.
fn without_ports(text: &str) -> String {
    let mut out = String::new();
    for line in text.lines() {
        let words: Vec<String> = line
            .split_whitespace()
            .map(|word| match word.rsplit_once(':') {
                Some((before, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => {
                    format!("{before}:PORT")
                }
                _ => word.to_owned(),
            })
            .collect();
        out += &format!("{}\n", words.join(" "));
    }
    out
}

fn without_spaces(text: &str) -> String {
    text.replace(' ', "")
}

/// The anchor that a heading gets.
fn anchor_of(line: &str) -> String {
    let Some(title) = line.strip_prefix('#') else {
        return String::new();
    };
    let title = title.trim_start_matches('#').trim();
    title
        .chars()
        .filter_map(|c| match c {
            ' ' => Some('-'),
            c if c.is_alphanumeric() || c == '-' || c == '_' => Some(c.to_ascii_lowercase()),
            _ => None,
        })
        .collect()
}
