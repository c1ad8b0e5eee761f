//! Commands, to the byte.

use super::super::tests::{all, exact};

// REQ: L-2
#[test]
fn pipes() {
    all("echo ‹hunter2› | sudo -S true
echo \"‹hunter2›\" | sudo -S true
echo '‹hun ter2›' | sudo --stdin true
echo -n ‹hunter2› | sudo -S true
echo -n -e ‹hunter2› | sudo -S true
printf ‹hunter2› | sudo -S true
printf '%s' ‹hunter2› | sudo -S true
printf \"%s\\n\" \"‹hunter2›\" | sudo -S true
printf '‹hunter2›' | sudo -S true
echo hunter2 | sudo true
echo ‹hunter2› | sudo passwd bob
echo ‹hunter2› | sudo cryptsetup open x
echo bob:‹hunter2› | sudo chpasswd
echo bob:‹hunter2› | chpasswd
echo 'bob:‹hunter2›' | chpasswd
echo bob | chpasswd
echo hunter2 | tee x
echo hunter2 || sudo -S true
echo hunter2⏎| sudo -S true
echo hunter2 | cat | sudo -S true
echo $PW | sudo -S true
echo '' | sudo -S true
echo | sudo -S true
echo [REDACTED] | sudo -S true
echo ******** | sudo -S true
cat hunter2 | sudo -S true
echox hunter2 | sudo -S true
echo ‹hunter2› | passwd bob
echo ‹hunter2› | kinit bob
echo ‹hunter2› | vncpasswd -f
echo ‹hunter2› | smbpasswd -s
echo ‹hunter2› | cryptsetup open x
echo ‹hunter2› | su bob
echo ‹hunter2› | gpg --passphrase-fd 0
echo ‹hunter2› | gpg2 --passphrase-fd 0
echo hunter2 | gpg -c
echo ‹hunter2› | openssl passwd -stdin
echo hunter2 | openssl md5
echo hunter2 | docker run x
echo hunter2 | gh issue create
echo ‹hunter2› | gh secret set X
echo ‹hunter2› | gh auth login --with-token
echo ‹hunter2› | gcloud secrets create x --data-file=-
sudo -S true <<< ‹hunter2›
sudo -S true <<< \"‹hunter2›\"
sudo -S true <<<‹hunter2›
sudo true <<< hunter2
sudo -S true<<< ‹hunter2›
<<<<<<< HEAD2
sudo -S <<<< hunter2
sudo -S << hunter2
x; sudo -S true <<< ‹hunter2›
sudo -S true; x <<< hunter2
sudo -S true | x <<< hunter2
sudo -S true⏎x <<< hunter2
chpasswd <<< bob:‹hunter2›
chpasswd <<< hunter2
sudo <<< ‹hunter2› -S
sudo <<< hunter2 -s
sudo -S true <<< $PW
sudo -S true <<< <x
sudo -S true <<<
<<< hunter2
<<< ‹hunter2› sudo -S true");
    for command in [
        "docker", "podman", "helm", "nerdctl", "oras", "crane", "skopeo", "buildah", "glab",
        "kubectl", "vercel", "wrangler", "flyctl", "fly", "npx", "op", "vault", "az",
    ] {
        exact(&format!(
            "echo ‹hunter2› | {command} login --password-stdin"
        ));
        exact(&format!("echo ‹hunter2› | {command} secret x"));
        exact(&format!("echo hunter2 | {command} x"));
    }
    // How far is looked.
    exact(&format!("echo ‹hunter2›{}| sudo -S true", " ".repeat(490)));
    exact(&format!("echo hunter2{}| sudo -S true", " ".repeat(510)));
    exact(&format!("sudo -S true{}<<< ‹hunter2›", " ".repeat(83)));
    exact(&format!("sudo -S true{}<<< hunter2", " ".repeat(90)));
    exact(&format!(
        "echo ‹hunter2› | docker{} --password-stdin",
        " ".repeat(100)
    ));
    exact(&format!(
        "echo hunter2 | docker{} --password-stdin",
        " ".repeat(120)
    ));
}

// REQ: L-2
#[test]
fn places() {
    all("rabbitmqctl add_user bob ‹hunter2›
rabbitmqctl change_password bob ‹hunter2›
rabbitmqctl list_queues bob hunter2
htpasswd -b file bob ‹hunter2›
htpasswd -cb file bob ‹hunter2›
htpasswd -nb bob ‹hunter2›
htpasswd file bob hunter2
htpasswd -c file bob hunter2
wpa_passphrase home ‹hunter2›
cargo login ‹hunter2›
cargo login
cargo login --help hunter
cargo build hunter2
ngrok authtoken ‹hunter2›
ngrok config add-authtoken ‹hunter2›
poetry config pypi-token.pypi ‹hunter2›
poetry config http-basic.x bob ‹hunter2›
poetry config x hunter2
mc alias set x https://x bob ‹hunter2›
mc alias set x https://x bob
net user bob ‹hunter2› /add
net user /add bob ‹hunter2›
net use x: /user:bob ‹hunter22›
net use X: \\\\srv\\share ‹hunter2›
net use \\\\srv\\share ‹hunter2›
net use X: \\\\srv\\share
npm config set //x/:_auth ‹hunter2›
pulumi config set --secret x ‹hunter2›
pulumi config set x hunter2
gcloud auth activate-refresh-token ‹hunter2›
ConvertTo-SecureString ‹hunter2›
convertto-securestring \"‹hunter›\"
bw unlock ‹hunter2›
bw login bob ‹hunter2›
bw login bob
bw unlock hunter
bw unlock a1
bw unlock ‹a1b›
1 bw unlock \"‹hunter›\"
1 bw unlock '‹hunter›'
bw unlock -x ‹hunter2›
bw unlock | hunter2
bw unlock > hunter2
bw unlock < hunter2
bw unlock; hunter2
bw unlock $PW1
bw unlock `x1`
bw unlock %PW1
bw unlock <x1y>
bw unlock [REDACTED]
bw unlock ********
snyk auth ‹hunter2›
xbw unlock hunter2
x/bw unlock ‹hunter2›
(bw unlock ‹hunter2›)
\"bw unlock ‹hunter2›\"
x;bw unlock ‹hunter2›; x
$(bw unlock ‹hunter2›)
x|bw unlock ‹hunter2›
x&bw unlock ‹hunter2›
\tbw unlock ‹hunter2›
`bw unlock ‹hunter2›`
-bw unlock hunter2
setx API_KEY ‹hunter2›
setx API_KEY \"‹hunter2›\"
setx API_KEY
setx OTHER hunter2
setenv API_KEY ‹hunter2›
set -x API_KEY ‹hunter2›
set -gx API_KEY ‹hunter2›
set -x OTHER hunter2
set API_KEY hunter2
setx API_KEY string
ENV API_KEY ‹hunter2›
ENV \"API_KEY\" ‹hunter2›
ENV API_KEY=‹hunter2›
ENV OTHER hunter2
sqlplus scott/‹tiger›@db
1 sqlplus scott/‹tiger›
sqlplus /tiger@db
sqlplus scott
sqlplus \"scott/‹tiger›@db\"
sqlplus / as sysdba
AUTH ‹hunter2›
AUTH ‹hunter2›⏎x
AUTH bob ‹hunter2›
AUTH bob ‹hunter2›⏎x
AUTH \"‹hunter2›\"
AUTH hunter
AUTH bob hunter2 x
AUTH ‹hunter2› -x
x> AUTH ‹hunter2›
\"AUTH ‹hunter2›\"
'AUTH ‹hunter2›'
`AUTH ‹hunter2›`
x AUTH hunter2
redis-cli AUTH ‹hunter2›
redis-cli AUTH ‹hunter›
redis-cli AUTH hun
redis-cli AUTH bob ‹hunter2› x
redis-cli -h x AUTH ‹hunter2›
redis-cli AUTH ‹hunter2› -x
redis-cli AUTH ‹hunter2› | x
redis-cli AUTH ‹hunter2›; x
redis-cli AUTH ‹hunter2› # x
OAUTH hunter2
AUTHhunter2");
    exact(&format!("redis-cli{}AUTH ‹hunter›", " ".repeat(55)));
    exact(&format!("redis-cli{}AUTH hunter", " ".repeat(56)));
    exact(&format!("AUTH ‹{}›", "x1".repeat(128)));
    exact(&format!("bw{}unlock ‹hunter2›", " ".repeat(24)));
    exact(&format!("bw{}unlock hunter2", " ".repeat(25)));
    exact(&format!("bw unlock{}‹hunter2›", " ".repeat(24)));
    exact(&format!("bw login {} ‹hunter2›", "x".repeat(485)));
    exact(&format!("bw login {} hunter2", "x".repeat(510)));
}

/// What commands are told to keep under a name.
// REQ: L-2
#[test]
fn names_and_values() {
    all("rclone config create r s3 secret_access_key ‹x1›
rclone config create r s3 access_key_id a1 secret_access_key ‹x1› session_token ‹y1›
rclone config create r s3 region x1
git config --global user.token ‹x1›
git config --global user.name x1
git config user.signingkey ABCD1234
git config credential.helper store
git config --get user.token
git config stores the token in plain text
git config token $TOKEN
git status token x1
aws configure set aws_session_token ‹x1› --profile p
consul kv put db/password ‹x1›
consul kv get db/password
etcdctl put /db/password ‹x1›
redis-cli SET session:token ‹x1›
redis-cli GET session:token
nmcli dev wifi connect Home password ‹x1›
nmcli dev wifi connect Home password hunter
npm list; git config token.x x1
git config user.token --unset x1
dotnet user-secrets set Api:Key x1
dotnet user-secrets set Api:Token \"‹x1 y1›\"
vault login ‹x11›
vault login token=‹abc123x›
vault login hunter");
}
