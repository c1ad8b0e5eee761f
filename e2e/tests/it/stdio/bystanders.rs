//! Servers as their READMEs start them, without the network: what npx and uvx look for has been installed by
//! `e2e/setup.sh`, at a pinned version.

use std::path::Path;

use e2e::{Palisade, Reply, Upstream};
use serde_json::{Value as Json, json};

use crate::peers::{e2e, target};

use super::{Session, messages};

/// A gateway before the command of a README.
struct Bystander {
    palisade: Palisade,
    home: tempfile::TempDir,
}

impl Bystander {
    /// `npx` in the directory of `e2e/package.json`, which takes what is installed there.
    fn npx(arguments: &[&str]) -> Self {
        let directory = e2e();
        Self::start(
            "npx",
            arguments,
            &directory,
            &[("npm_config_offline", "true")],
            &[],
        )
    }

    /// `uvx` with tools that are installed; `reachable` are addresses of this machine that it may reach.
    fn uvx(arguments: &[&str], reachable: &[&str]) -> Self {
        let part = |name: &str| target().join("e2e").join(name).display().to_string();
        let variables = [
            ("UV_OFFLINE", "1".to_owned()),
            ("UV_TOOL_DIR", part("uv-tools")),
            ("UV_CACHE_DIR", part("uv-cache")),
            ("UV_PYTHON_DOWNLOADS", "never".to_owned()),
        ];
        let variables: Vec<(&str, &str)> = variables
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        Self::start("uvx", arguments, &e2e(), &variables, reachable)
    }

    fn start(
        program: &str,
        arguments: &[&str],
        directory: &Path,
        variables: &[(&str, &str)],
        reachable: &[&str],
    ) -> Self {
        let home = tempfile::tempdir().unwrap();
        let command: Vec<&str> = std::iter::once(program)
            .chain(arguments.iter().copied())
            .collect();
        let environment: Vec<String> = variables
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let uv = target().join("e2e/venv-uv/bin").display().to_string();
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = format!("{uv}:{}", path.to_string_lossy());
        let palisade = Palisade::builder()
            .config(&format!(
                "[egress]\nallow_special = {}\n\n[[server]]\nname = \"test\"\ncommand = {}\nenvironment = {}\ndirectory = {}\n",
                json!(reachable),
                json!(command),
                json!(environment),
                json!(directory),
            ))
            .env("PATH", &path)
            .env("HOME", &home.path().display().to_string())
            .start();
        Self { palisade, home }
    }

    /// The names of its tools, and what one of them answers.
    async fn call(&self, tool: &str, arguments: &Json) -> (Vec<String>, Json) {
        let session = Session::open(&self.palisade).await;
        let ask = |id: u64, method: &str, params: Json| json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        let answer = session.ask(&ask(1, "tools/list", json!({}))).await;
        let list = messages(&answer).pop().unwrap();
        let tools = list["result"]["tools"].as_array().unwrap();
        let names = tools
            .iter()
            .map(|tool| tool["name"].as_str().unwrap().to_owned())
            .collect();
        let params = json!({ "name": tool, "arguments": arguments });
        let answer = session.ask(&ask(2, "tools/call", params)).await;
        let mut said = messages(&answer).pop().unwrap();
        assert_eq!(session.delete().await.status, 200);
        assert_ne!(said["result"]["isError"], true, "{said}");
        (names, said["result"].take())
    }
}

/// A gateway finds `name` among them.
fn has(names: &[String], name: &str) {
    assert!(names.iter().any(|found| found == name), "{names:?}");
}

// REQ: G-1, G-16
#[tokio::test]
async fn server_everything() {
    let server = Bystander::npx(&["-y", "@modelcontextprotocol/server-everything"]);
    let (names, result) = server.call("echo", &json!({ "message": "through" })).await;
    has(&names, "echo");
    assert_eq!(result["content"][0]["text"], "Echo: through");
}

// REQ: G-1, G-16
#[tokio::test]
async fn server_filesystem() {
    let files = tempfile::tempdir().unwrap();
    let file = files.path().join("note.txt");
    std::fs::write(&file, "kept here").unwrap();
    let directory = files.path().display().to_string();
    let server = Bystander::npx(&["-y", "@modelcontextprotocol/server-filesystem", &directory]);
    let (names, result) = server
        .call("read_text_file", &json!({ "path": file }))
        .await;
    has(&names, "write_file");
    assert_eq!(result["content"][0]["text"], "kept here");
}

// REQ: G-1, G-16
#[tokio::test]
async fn server_fetch() {
    let page = Upstream::always(Reply::new(
        200,
        &[("Content-Type", "text/plain")],
        "the page itself",
    ));
    let url = page.url();
    let address = url.trim_start_matches("http://").trim_end_matches("/mcp");
    // Without the flag it refuses loopback, where alone it is to go here.
    let server = Bystander::uvx(
        &[
            "mcp-server-fetch",
            "--ignore-robots-txt",
            "--allow-private-ips",
        ],
        &[address],
    );
    let url = format!("{}/page", page.url());
    let (names, result) = server.call("fetch", &json!({ "url": url })).await;
    has(&names, "fetch");
    let text = result["content"][0]["text"].as_str().unwrap();
    assert!(text.contains("the page itself"), "{text}");
    assert!(
        page.arrived()
            .iter()
            .any(|request| request.target().ends_with("/page"))
    );
}

// REQ: G-1, G-16
#[tokio::test]
async fn server_time() {
    let server = Bystander::uvx(&["mcp-server-time"], &[]);
    let (names, result) = server
        .call("get_current_time", &json!({ "timezone": "Asia/Tokyo" }))
        .await;
    has(&names, "convert_time");
    let text = result["content"][0]["text"].as_str().unwrap();
    assert!(text.contains("+09:00"), "{text}");
    // uv keeps what it makes where it was told to.
    assert!(server.home.path().is_dir());
}
