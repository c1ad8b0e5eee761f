#!/bin/sh
# Makes everything the end-to-end tests drive: npm packages (with Node 22 and 24) in e2e/node_modules, the Python environments
# in TARGET/e2e/venv, venv-audit, venv-fastmcp, venv-fetch, venv-sslyze and venv-uv, the servers that uvx starts in TARGET/e2e/uv-tools,
# the rmcp server and client in TARGET/debug.
#
#   e2e/setup.sh            TARGET is $CARGO_TARGET_DIR, or target/ beside e2e/
#
# Needs npm, python3 with venv, cargo, openssl, testssl.sh, sslscan, faketime, strace and zstd, and the package registries only for what is new. A part whose
# lockfile is as it was is left alone; cargo decides for itself. Several calls at once wait for one another.
set -eu

e2e=$(cd "$(dirname "$0")" && pwd)
target=${CARGO_TARGET_DIR:-$(dirname "$e2e")/target}
mkdir -p "$target/e2e"
target=$(cd "$target" && pwd)

if [ "${PALISADE_E2E_LOCKED:-}" != "$target" ]; then
    PALISADE_E2E_LOCKED=$target exec flock "$target/e2e/setup.lock" "$0" "$@"
fi

say() { echo "e2e/setup: $*" >&2; }

for tool in npm python3 cargo openssl testssl sslscan faketime strace zstd; do
    command -v "$tool" >/dev/null || {
        say "$tool is missing; on Debian: apt install npm python3-venv openssl testssl.sh sslscan faketime strace zstd, and rustup for cargo"
        exit 1
    }
done

# fresh STAMP FILE...: whether the stamp was made of these files, this directory and this machine's tools.
fingerprint() { { echo "$e2e $(uname -m) $(python3 --version)"; cat "$@"; } | sha256sum | cut -d ' ' -f 1; }
fresh() { [ -f "$1" ] && stamp=$1 && shift && [ "$(cat "$stamp")" = "$(fingerprint "$@")" ]; }

npm_files="$e2e/package.json $e2e/package-lock.json $e2e/.npmrc"
# shellcheck disable=SC2086  # the paths of this list are to be split
if ! fresh "$e2e/node_modules/.palisade-stamp" $npm_files; then
    say "installing the npm packages"
    # --engine-strict=false: the packages want Node 22, which is one of them; the machine's own need not be.
    npm ci --prefix "$e2e" --engine-strict=false --loglevel=error >&2
    fingerprint $npm_files >"$e2e/node_modules/.palisade-stamp"
fi

python_environment() {
    environment=$target/e2e/$1 pins=$e2e/$2
    fresh "$environment/.palisade-stamp" "$pins" && return
    say "installing $2 into $1"
    rm -rf "$environment"
    python3 -m venv "$environment" || { say "python3 -m venv failed; on Debian: apt install python3-venv"; exit 1; }
    "$environment/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --requirement "$pins" >&2
    "$environment/bin/python" -m pip check --quiet --disable-pip-version-check >&2
    fingerprint "$pins" >"$environment/.palisade-stamp"
}
python_environment venv requirements.txt
python_environment venv-audit requirements-audit.txt
python_environment venv-fastmcp requirements-fastmcp.txt
python_environment venv-sslyze requirements-sslyze.txt
python_environment venv-uv requirements-uv.txt

# uvx takes a tool that is installed, at the version that it has; without the network, then.
tools=$target/e2e/uv-tools
if ! fresh "$tools/.palisade-stamp" "$e2e/requirements-servers.txt" "$e2e/requirements-uv.txt"; then
    rm -rf "$tools"
    for tool in mcp-server-fetch mcp-server-time; do
        say "installing $tool"
        pinned=$(grep "^$tool==" "$e2e/requirements-servers.txt")
        UV_TOOL_DIR=$tools UV_TOOL_BIN_DIR=$tools/bin UV_CACHE_DIR=$target/e2e/uv-cache UV_PYTHON_DOWNLOADS=never \
            "$target/e2e/venv-uv/bin/uv" tool install --quiet --python "$(command -v python3)" \
            --constraints "$e2e/requirements-servers.txt" "$pinned" >&2
    done
    fingerprint "$e2e/requirements-servers.txt" "$e2e/requirements-uv.txt" >"$tools/.palisade-stamp"
fi
python_environment venv-fetch requirements-fetch.txt

CARGO_TARGET_DIR=$target cargo build --quiet --locked --manifest-path "$e2e/upstreams/rmcp/Cargo.toml"

for node in "$e2e"/node_modules/node-linux-*/bin/node "$e2e"/node_modules/node24-linux-*/bin/node; do
    [ -x "$node" ] || { say "no Node 22 or 24 for $(uname -m): only x86_64 and aarch64 Linux have them in package.json"; exit 1; }
done
