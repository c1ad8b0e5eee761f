//! What words announce, to the byte.

use super::super::tests::{all, exact};
use super::*;

// REQ: L-2
#[test]
fn announcements() {
    all("The password is ‹hunter2x›.
The password is ‹hunter2x›, not it
The password is (‹hunter2x›)
The password is **‹hunter2x›
The password is _‹hunter2x›
The password is ‹hunter2x!›.
The password is ‹hunter2x›!
The password is ‹hunter2x›?
The password is ‹hunter2x›);
The password is ‹hunter2x›:
The password is \"‹hunter2x›\"
The password is '‹two words›'
The password is `‹two words1›`
The password is hunter
The password is ab1
The password is ‹abc1›
The password is is
The password is string
The password is OAuth2
The password is ‹required1› by us
The password was ‹hunter2x›
The password are ‹hunter2x›
The password is: ‹hunter2x›
The password is now ‹hunter2x›
The password is set to ‹hunter2x›
The password is now set to ‹hunter2x›
The password was reset to ‹hunter2x›
The password has been changed to ‹hunter2x›
The password will be updated to ‹hunter2x›
The password should be ‹hunter2x›
The password must be ‹hunter2x›
The password was rotated to ‹hunter2x›
The password from ‹hunter2x›
The password to ‹hunter2x›
The password as ‹hunter2x›
The password -> ‹hunter2x›
The password → ‹hunter2x›
The password reset to ‹hunter2x›
The password isnt hunter2x/y
The password ‹hunter2x›
The password hunter2/x
The password hunter2=x
The password -hunter2x
The password hunter2(x)
The password hunter
The password abc12
The password ‹abc123›
The password 123456
The password for bob is ‹hunter2x›
The password for bob was ‹hunter2x›
The password for bob hunter2x/y
The password for the box: ‹hunter2x›
The password for bob@x.y-z_1: ‹hunter2x›
The password for the (box): hunter2x
The password for the box:hunter2x
The password for : hunter2x
The password (temporary): ‹hunter2x›
The password [admin]: ‹hunter2x›
The password (temporary) hunter2x/y
The password (temporary):hunter2x/y
The password [admin): hunter2x/y
The password - ‹hunter2x›
The password | ‹hunter2x› |
The password - hunter2x is it
The password - hunter
The password - hunt2
The token - hunter2x
The password - \"hunter2x\"
The password -- hunter2x
the private key 0123456789abcdef
the token is base64-encoded
the token is ‹base64-enc0ded›
the token is ‹abcd1234-encoded›
passwd ‹hunter2x›
passphrase ‹hunter2x›
passcode is ‹hunter2x›
pwd ‹hunter2x›
requirepass ‹hunter2x›
masterauth ‹hunter2x›
passwords hunter2x
PASSWORD('‹hunter2x›')
PASSWORD(\"hunter2x\")
password('hunter2x')
password 'two words'
1 password '‹hunter›'
password \"hunter2x\"
#define PASSWORD \"‹hunter2x›\"
#define PASSWORD \"‹two words1›\"
#define PASSWORD \"‹hunter›\"
#undef PASSWORD \"hunter2x\"
(x :password \"‹hunter2x›\")
x⏎#define PASSWORD \"‹hunter2x›\"
#define X⏎PASSWORD \"hunter2x\"
IDENTIFIED BY '‹hunter›'
identified by \"‹hunter2x›\"
IDENTIFIED BY ‹hunter2x›
identified 'hunter2x'
identified hunter2x
SECRET '‹hunter2x›'
SECRET 'hunter2'
SECRET 'hunterxx'
SECRET 'hunter 2x'
SECRET \"hunter2x\"
secret 'hunter2x'
the token is ‹abcdef12›
the token is abcdef1
the token is abcdefgh
the token is abc/def12
the token is \"‹abcdef12›\"
the token is \"abc def12\"
the token is \"abcdef1\"
the token is \"abcdefgh\"
the token abcdef12
the secret is ‹abcdef12›
the key is ‹abcdef12›
key ‹aB3dE5fG7hJ9kLmN1pQr›
key aB3dE5fG7h
key abcdef0123456789abcdef
key ABCDEF0123456789ABCDEF
key aB3dE5fG7hJ9-LmN1pQr
secret aB3dE5fG7hJ9kLmN1pQr
the pin is ‹1234›
the pin is 123
the pin is ‹12345678›
the pin is 123456789
the pin is 12x4
the pin ‹1234›
otp ‹123456›
the cvv ‹123›
the cvc ‹123›
the cvv 12
verification code is ‹1234›
verification code: ‹1234›
verification code ‹1234›
verification code is: ‹12345678›
verification code: is ‹1234›.
verification code is ‹1234›,
verification code is ‹1234›,.
verification code is 123
verification code is 123456789
verification code is 12a4
verification code;1234
verification code:‹1234›
security code ‹1234›
login code ‹1234›
access code ‹1234›
confirmation code ‹1234›
authentication code ‹1234›
otp code ‹1234›
2fa code ‹1234›
mfa code ‹1234›
SMS code ‹1234›
one-time code ‹1234›
passcode code ‹1234›
country code 1234
code 1234
aws configure set aws_secret_access_key ‹abcdefghijklmnop›
aws configure set aws_secret_access_key ‹abcdefghijklmno›
aws configure set aws_session_token ‹abcdefghijklmnop› x
aws configure set aws_access_key ‹abcdefghijklmnop›
aws configure set region abcdefghijklmnop
aws configure list aws_profile abcdefghijklmnop
the password for the vpn is ‹Kx9!mm›
the password of the old mail box is ‹Kx9!mm›
the password to the safe is: ‹Kx9!mm›
the password of the very old wooden mail box is Kx9!mm
the password to the safe was ‹Kx9!mm›
das Passwort ist ‹Kx9!mm›
la contraseña es ‹Kx9!mm›
la contraseña del banco Kx9
le mot de passe est ‹Kx9!mm›
la passe est Kx9!mm
a senha é ‹Kx9!mm›
het wachtwoord is ‹Kx9!mm›
pw ‹b0bpw2›
pw bobpw
pw 2026-01-10T10:00:00Z
pw v1.22.3
password 2026-01-10T10:00:00Z
the secret is ‹Zx8$kk›
the secret is Zx8kk1
the secret is Z8$kk
the key is ‹Zx8$kk›
the passphrase is ‹correct horse battery staple›
the passphrase is ‹correct horse battery staple›.
the passphrase is ‹correct horse battery staple›, he said
the passphrase is correct horse battery
the passphrase is correct horse the staple
the passphrase is used when signing commits
the passphrase is correct horse battery staple Now
the passphrase is correct horse battery of
the password is ‹correct horse battery staple›
the password is stored for some other user
the password is printed once per session");
    all("PESEL ‹44051401359›
NHS number ‹943 476 5919›
passport no. ‹C01X00T47› x
the passport office
sin 046454286");
    let key = "0123456789abcdef".repeat(4);
    exact(&format!("private key ‹{key}›"));
    exact(&format!("Private key ‹0x{key}›"));
    exact(&format!("public key {key}"));
    exact(&format!("private key {key}0"));
    exact(&format!("private key {}", &key[1..]));
    exact(&format!("private key {}g", &key[1..]));
    exact(&format!("password ({}): ‹hunter2x›", "a".repeat(30)));
    exact(&format!("password ({}): hunter2x/y", "a".repeat(31)));
    // How far is looked.
    exact(&format!("password for {}: ‹hunter2x›", "a".repeat(59)));
    exact(&format!("password for {}: hunter2x", "a".repeat(63)));
    exact(&format!("password for {} is ‹hunter2x›", "a".repeat(64)));
    exact(&format!("password for {} is hunter2x/y", "a".repeat(65)));
    exact(&format!("#define{}PASSWORD \"hunter2x\"", " ".repeat(50)));
    exact(&format!("password is ‹{}›{} x", "ab12".repeat(64), "").replace("› x", "› x"));
}

// REQ: L-2
#[test]
fn calls() {
    all("define('DB_PASSWORD', '‹hunter2x›')
define('DB_NAME', 'hunter2x')
define('DB_PASSWORD' 'hunter2x')
define(\"DB_PASSWORD\",\"‹hunter2x›\")
define(DB_PASSWORD, 'hunter2x')
define('DB_PASSWORD', x)
define('DB_PASSWORD', 'string')
define('DB_PASSWORD', '')
define('DB_PASSWORD', 'Enter the password')
define('DB_PASSWORD', 'Password')
define('DB_PASSWORD', '‹two words1›')
define('DB_PASSWORD', '‹hunter›')
define 'DB_PASSWORD', 'hunter2x'
getenv('DB_PASSWORD', '‹hunter2x›')
get('DB_PASSWORD', '‹hunter2x›')
set('DB_PASSWORD', '‹hunter2x›')
Set(\"DB_PASSWORD\", \"‹hunter2x›\")
setItem('token', '‹hunter2x›')
setdefault('DB_PASSWORD', '‹hunter2x›')
Setenv('DB_PASSWORD', '‹hunter2x›')
setProperty('db.password', '‹hunter2x›')
setHeader('X-Api-Key', '‹hunter2x›')
addHeader('X-Api-Key', '‹hunter2x›')
header('X-Api-Key', '‹hunter2x›')
add('X-Api-Key', '‹hunter2x›')
Add('X-Api-Key', '‹hunter2x›')
SetEnvironmentVariable('DB_PASSWORD', '‹hunter2x›')
setHeader('Authorization', 'Bearer ‹abcdef12›')
setOther('DB_PASSWORD', 'hunter2x')
other('DB_PASSWORD', 'hunter2x')
setPassword('‹hunter2x›')
SetPassword(\"‹hunter2x›\")
setPassword('string')
setPassword(hunter2x)
setPassword('')
setName('hunter2x')
login('bob', '‹hunter2x›')
login(\"bob\", \"‹hunter2x›\", 1)
login( 'bob' , '‹hunter2x›' )
login('bob', 'hunter2x'
login('bob', 'hunter2x'; 1)
login('bob' 'hunter2x')
login('bob', hunter2x)
login('bob', 'hunter 2x')
login('bob', 'password')
login('bob', '‹password1›')
login('bob', '')
login(bob, 'hunter2x')
login('/bob', 'hunter2x')
login 'bob', 'hunter2x'
login(\\\"bob\\\", \\\"‹hunter2x›\\\")
basicAuth('bob', '‹hunter2x›')
BasicAuth('bob', '‹hunter2x›')
basic_auth(\"bob\", Some(\"‹hunter2x›\"))
basic_auth_x(\"bob\", \"hunter2x\")
SetBasicAuth('bob', '‹hunter2x›')
setBasicAuth('bob', '‹hunter2x›')
NetworkCredential(\"bob\", \"‹hunter2x›\")
getConnection(\"x\", \"bob\", \"‹hunter2x›\")
getConnection(\"x\", \"bob\")
getConnection(x, \"bob\", \"hunter2x\")");
    exact(&format!("define('DB_PASSWORD', '‹{}›')", "x1".repeat(200)));
    exact(
        &format!("define('{}_PASSWORD', '‹hunter2x›')", "a".repeat(247))
            .replace("‹", "")
            .replace("›", ""),
    );
    exact(&format!("login('bob',{}'‹hunter2x›')", " ".repeat(230)));
    exact(&format!("login('bob',{}'hunter2x')", " ".repeat(240)));
}

/// Each word is among those that are looked at.
#[test]
fn words() {
    for word in WORDS {
        let word = word.as_bytes();
        assert_ne!(LENGTHS[usize::from(word[0] & 31)] & 1 << word.len(), 0);
        for first in [word[0], word[0].to_ascii_uppercase()] {
            for second in [word[1], word[1].to_ascii_uppercase()] {
                let third = word.get(2).copied().unwrap_or(b' ');
                for third in [third, third.to_ascii_uppercase()] {
                    assert!(super::super::may_begin(first, second, third), "{word:?}");
                }
            }
        }
    }
    assert_eq!(LENGTHS[usize::from(b'g' & 31)], 1 << 3 | 1 << 6 | 1 << 13);
    assert_eq!(LENGTHS[usize::from(b'z' & 31)], 0);
    for (text, expected) in [
        ("is x", (3, true)),
        ("is now x", (7, true)),
        ("is: x", (4, true)),
        ("is now: x", (8, true)),
        ("is set to x", (10, true)),
        ("was changed to: x", (16, true)),
        ("has been reset to x", (18, true)),
        ("to x", (3, true)),
        ("-> x", (3, true)),
        ("→ x", (4, true)),
        ("isx", (0, false)),
        ("is", (0, false)),
        ("x", (0, false)),
        ("", (0, false)),
    ] {
        assert_eq!(link(text.as_bytes(), 0), expected, "{text}");
    }
    for (word, is) in [
        ("abc123", true),
        ("abc12", false),
        ("abcdef", false),
        ("123456", false),
        ("abc=123", false),
        ("abc/123", false),
        ("abc(123", false),
        ("-abc123", false),
        ("ab-c123", true),
    ] {
        assert_eq!(strong(word.as_bytes()), is, "{word}");
    }
    for (text, expected) in [
        ("x: y", Some(3)),
        ("a b@c.d-e_f: y", Some(13)),
        (": y", None),
        ("x:y", None),
        ("x", None),
        ("x!: y", None),
    ] {
        assert_eq!(whose(text.as_bytes(), 0), expected, "{text}");
    }
}
