use std::io::{BufRead, Write};
fn main() {
    let mut out = Vec::new();
    for line in std::io::stdin().lock().lines() {
        let line = line.expect("line");
        palisade_audit::redact_json(line.as_bytes(), &mut out);
        out.push(b'\n');
    }
    std::io::stdout().write_all(&out).expect("write");
}
