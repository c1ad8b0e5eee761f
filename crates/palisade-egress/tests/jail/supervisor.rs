//! When the process that guards a child ends, the child is left without network.

use std::ffi::OsString;
use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use palisade_egress::Level;

use crate::rig::{PATIENCE, Rig, Test, file, python};
use crate::ways::Bait;

pub(crate) const TESTS: &[Test] = &[
    ("supervisor::killed_isolated", || killed(Level::Isolated)),
    ("supervisor::killed_supervised", || {
        killed(Level::Supervised)
    }),
];

pub(crate) const HOLD: &str = "__hold";

/// `LEVEL SCRIPT`: guards a child that runs the script, for ever.
pub(crate) fn hold(arguments: &[OsString]) -> ExitCode {
    let level: Level = arguments[0].to_str().unwrap().parse().unwrap();
    let rig = Rig::new(level);
    let allowed = rig.allowed.address.port().to_string();
    let child = rig.start(&[&python(), arguments[1].to_str().unwrap(), &allowed]);
    loop {
        thread::park();
        let _ = &child;
    }
}

// REQ: E-3
fn killed(level: Level) {
    let bait = Bait::new();
    let script = r#"
import os, socket as s, sys, time
here, allowed = os.path.dirname(__file__), int(sys.argv[1])
def connect():
    try:
        s.create_connection(('127.0.0.1', allowed), timeout=20).close()
        return 'connected'
    except OSError as error:
        return 'refused'
def name():
    try: return s.gethostbyname('allowed.example')
    except OSError: return 'unknown'
def say(file, text):
    with open(f'{here}/{file}.part', 'w') as out: out.write(text)
    os.rename(f'{here}/{file}.part', f'{here}/{file}')
say('before', f'{connect()} {name()}')
until = time.time() + 120
while not os.path.exists(f'{here}/go') and time.time() < until: time.sleep(0.01)
say('after', f'{connect()} {name()}')
"#;
    let script = file(bait.directory.path(), "waits.py", script);
    let mut holder = Command::new(std::env::current_exe().unwrap())
        .args([HOLD, level.as_str(), &script])
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let before = read(&bait.path("before"));
    assert!(before.starts_with("connected 198.18."), "{level} {before}");
    holder.kill().unwrap();
    assert_eq!(holder.wait().unwrap().signal(), Some(9));
    file(bait.directory.path(), "go", "");
    assert_eq!(read(&bait.path("after")), "refused unknown", "{level}");
}

fn read(path: &str) -> String {
    let until = Instant::now() + PATIENCE;
    loop {
        match fs::read_to_string(path) {
            Ok(text) => return text,
            Err(_) if Instant::now() < until => thread::sleep(Duration::from_millis(5)),
            Err(error) => panic!("{path}: {error}"),
        }
    }
}
