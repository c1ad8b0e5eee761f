//! Names and their values: where a name may stand, what its value may be, where that ends.

use super::super::tests::{all, exact};
use super::names::{DECLARES, EXPORTS, STRUCTURAL};
use super::web::QUERY;
use super::*;

// REQ: L-2
#[test]
fn assignments() {
    all("password == \"‹hunter2›\"
password === \"‹hunter2›\"
password == \"abc\"
password == \"ab1\"
password == \"‹abc1›\"
password == \"hunter\"
password == \"two words1\"
password !== \"hunter2\"
password <= \"hunter2\"
password == hunter2
name == \"hunter2\"
token=~hunter2
password=~ hunter2
password := ‹hunter2›
password += ‹hunter2›
password ?= ‹hunter2›
PASSWORD?=‹hunter2›
password%3D=hunter2
- name: API_KEY⏎  value = ‹abc123def›
- name: API_KEY⏎  value=‹abc123def›
- name: OTHER⏎  value = abc123def
curl --user=bob:‹pw1› x
curl --proxy-user=bob:‹pw1› x
curl --superuser=bob:pw1 x
--user%3Dbob:pw1
'password' => '‹hunter2›'
password => ‹hunter2›
password => hunter
password => get.it1
password => x(1
password => {
token => ‹abc123›, x
token => [ ]
password =
password =⏎x1y2
password = ⏎x1y2
password =⏎
password = # set2 later
password=‹#hunter2x›
password = \\nx1y2
password=`‹hunter2›`
password=`cat x`
password=\\\"‹hunter2›\\\"
password=\\\\\\\"‹hunter2›\\\\\\\"
password=\\x
auth=(\"bob\", \"‹hunter2›\")
auth=BasicAuth(\"bob\", \"‹hunter2›\")
auth=(user, \"hunter2\")
password=(\"bob\", \"‹hunter2›\")
password = (\"‹hunter2›\")
password=(\"‹bob›\", 12)
password = crypt('‹hunter2›', 1)
password = a.md5(\"‹hunter2›\")
password = prompt('hunter2')
password = crypt(x, 'hunter2')
token = crypt('hunter2')
password = ‹hunter›
password = hunter x
password = ‹hunter›⏎x
password = hunter.x⏎
password = hunter_x⏎
password = huntEr⏎
pass = ‹hunter›⏎
token = lexer⏎
token = ‹lexer2›⏎
my password = hunt/er
my password = ‹hunt/er2›
password = ‹hunt/er›
token = hunt/er
$password = ConvertTo-Secret \"hunter2\"
$password = Get-Secret -Name x1
$password = Get-Secret $x
$password = Get-Secret (1)
password = ‹Blue-Horse›⏎
authorization=Bearer ‹abcdef1›&x=1
authorization=basic
authorization=‹Basic dXNlcjpwYXNz›
authorization=digest x
password=$PASSWORD&x
?token=‹get(x1y2z3›&a=b
a?token=‹tokens.x1›&a=b
secret=null;x
a%3Fpassword%3D‹hunter2›%26x%3D1
password%3D‹hunter2› x
password%3D‹hunter2›
ssn=‹219-09-9999› x
PASSWORD=‹a;b&c,d› x
PASSWORD=‹hunter2›; ls
x=1 PASSWORD=‹hunter2,b›
password=‹hunter2›;x=1
-e \"PASSWORD=‹hunter2›\" x
-e 'PASSWORD=‹hunt\"er2›' x
\"PASSWORD=‹hunter2› x
PASSWORD =‹hunter2›,x=1
token=[REDACTED]x
password=[REDACTED],
token=1
token=12,
token=123
token=‹1234›
token=#abc
token=#aabbccdd
token=‹#aabbccddee›
token=‹#xyz1›
token=‹abc1›.
password=‹abc1.›
token=‹abc1›`
token=`
token=.
authorization=Bearer $TOKEN
authorization=\"Bearer [REDACTED]\"
authorization=\"Bearer ${TOKEN}\"
authorization=\"Bearer ‹abc123›\"
authorization=\"‹Basic abc123›\"");
    for name in SCHEMES {
        let name = std::str::from_utf8(name).unwrap();
        let shown = if name == "bearer" {
            "bearer ‹"
        } else {
            &format!("‹{name} ")
        };
        exact(&format!("authorization={shown}x1y2z3›, z"));
        exact(&format!("authorization={}x1y2z3›, z", shown.to_uppercase()));
        exact(&format!("authorization: {shown}x1y2z3›"));
    }
    let long = "x1Y2".repeat(100);
    exact(&format!("password=‹{long}› z"));
    exact(&format!("password = ‹{long}› z"));
    exact(&format!("password: ‹{long}› z"));
    exact(&format!("?token=‹{long}›&z=1"));
    exact(&format!("token = {}(x)", "a".repeat(256)));
    // What is compared is looked at within 256 bytes.
    exact(&format!("password == \"{}1\"", "a".repeat(300)));
}

// REQ: L-2
#[test]
fn members() {
    all("password:= ‹hunter2›
password:: hunter2
a::password: hunter2
password::hunter2
arn:password:hunter2
x: password: ‹hunter2›
**Password:** ‹hunter2x›
**Password**: ‹hunter2x›
x **Password**: ‹hunter2x› y
unexpected token: '<'
the password: 'hunter'
the password: '‹hunter2›'
the password: 'ab1'
the password: '‹abc1›'
password: '‹hunter›'
input('Password: ')
x('Password: ' + y2 + 'hunter2')
{\\\"password\\\":\\\"‹x1›\\\"}
{\\\"password\\\":\\\\\\\"‹x1›\\\\\\\"}
password: b'‹hunter2›'
password=r\"‹hunter2›\"
password=rb\"‹hunter2›\"
password=@\"‹hunter2›\"
password=L\"‹hunter2›\"
password: &'a str
password: &\"‹hunter2›\"
\"password\": ‹hunter2›, \"x\"
\"pin\": ‹1234›}
\"pin\": 12}
'password': ‹hunter2›
`password`: ‹hunter2›
X-Hub-Signature-256: ‹sha256=0123456789abcdef›
'X-Hub-Signature-256': '‹sha256=0123456789abcdef›'
X-HUB-SIGNATURE: ‹sha1=0123456789abcdef›, x
-H 'X-Shopify-Hmac-SHA256: ‹aB3dE5fG7hJ9kLmN=›'
\\\"X-Hub-Signature\\\": 1
Stripe-Signature:‹t=1492774577,v1=5257a869e7›
-Signature: 0123456789abcdef
Signature: 0123456789abcdef
X-Signature: ‹short1›
X-Signature: not a word of it
X-Signature-512: ‹0123456789abcdef›
x-future: 0123456789abcdef
x-256: 0123456789abcdef
Authorization: ‹Digest username=\"bob\", response=\"abc\"›⏎X: y
Authorization: ‹OAuth a=\"b1\", c=\"d2\"›\r⏎X: y
Authorization: ‹Other a=›\"b1\", c=\"d2\"
Cookie: ‹a=b; c=d›⏎X: y
Cookie: chocolate chip
Cookie: ‹abc123›
phone: ‹+1 415 555 2671›, x
ssn: ‹219-09-9999›
password: |⏎  ‹line one⏎  line two›⏎next: 1
password: >⏎  ‹line one›⏎next: 1
password: |-⏎  ‹line one›⏎next: 1
password: |2+⏎  ‹line one›⏎
password: |  ⏎  ‹line one›
password: |\r⏎  ‹line one›
password: |x⏎  line one
password: |⏎line one
password: |
  password: |⏎    ‹abc›⏎  x: 1
password: |⏎  ‹a⏎    b⏎  c›⏎ d
the password: |⏎  line1
seed phrase: ‹alpha beta gamma delta›
seed phrase: ‹alpha beta gamma delta›⏎x
mnemonic: ‹alpha beta gamma delta alpha beta gamma delta alpha beta gamma delta›
mnemonic: alpha beta gamma delta
seed phrase: alpha beta gamma
passphrase: this is the one
passphrase: one of the many ways
passphrase: ‹alpha  beta gamma delta› 7
passphrase: ‹alpha-beta gamma delta eta›, x
password: !vault x1y2
password: !Ref x1y2
password: ‹!b› x1
password: ‹!b1c› x1
password: ‹!bcd›
src/token.rs:45:10
token.rs:45
token.rs: ‹a45b›
пароль: неверный
пароль: ‹qwerty1›
token: Token,
token: Token⏎
Token: ‹Abc1› x
password: Hunter,
password: ‹Hunter›
X-Auth-Token: ‹abcdef›
X-Auth-Token: ‹abcdef› x
password: hunter x
password: ‹hunter›⏎x
a password: hunter⏎
password: hunter.⏎
password: hunter:⏎
password: hunter(⏎
password: ‹a,b;c1›
password: a,b
token: a,b
password: ‹a1b›,
password: ‹a1b›, c
- password: ‹hunter›
{password: ‹hunter›
(token: hunter
token: ‹hunter›
the token: hunter
secret: string
secret: getSecret()
password:⏎  x: 1
password:    ‹hunter2›
password:\t‹hunter2›
password:\u{a0}‹hunter2›");
    for word in [
        "is", "the", "at", "be", "must", "a", "of", "to", "for", "in", "not", "and", "or",
    ] {
        exact(&format!("passphrase: alpha beta gamma {word} delta"));
    }
    let words = "alpha ".repeat(200);
    exact(&format!("passphrase: ‹{}›", words.trim_end()));
    for spaces in [0, 1, 23, 24] {
        exact(&format!("password:{}‹hunter2x›", " ".repeat(spaces)));
        exact(&format!("password{}=‹hunter2x›", " ".repeat(spaces)));
        exact(&format!("x;{}password=‹hunter2x›", " ".repeat(spaces)));
    }
    exact(&format!("password:{}hunter2x", " ".repeat(25)));
    exact(&format!("password{}=hunter2x", " ".repeat(25)));
    exact(&format!("{}_password=‹hunter2x›", "a".repeat(71)));
    exact(&format!("{}_contraseña: ‹hunter2x›", "é".repeat(30)));
    exact(&format!("{}__contraseña: ‹hunter2x›", "é".repeat(30)));
}

fn name(text: &str) -> Option<Name<'_>> {
    name_before(text.as_bytes(), 0, text.len())
}

// REQ: L-2
#[test]
fn names() {
    for (text, expected) in [
        ("password", Some("password")),
        ("x password", Some("password")),
        ("x.password", Some("x.password")),
        ("password ", Some("password")),
        ("password\t", Some("password")),
        ("**password**", Some("password")),
        ("\"password\"", Some("password")),
        ("'password'", Some("password")),
        ("`password`", Some("password")),
        ("\\\"password\\\"", Some("password")),
        ("x[\"password\"]", Some("password")),
        ("x['password']", Some("password")),
        ("x[password]", Some("password")),
        ("%3Fpassword", Some("password")),
        ("%3Gpassword", Some("3Gpassword")),
        ("3Fpassword", Some("3Fpassword")),
        ("mot de passe", Some("password")),
        ("bon mot de passe", Some("password")),
        ("de passe", Some("passe")),
        ("passe", Some("passe")),
        ("api key", Some("api key")),
        ("API Key", Some("API Key")),
        ("card number", Some("card number")),
        ("pass phrase", Some("pass phrase")),
        ("security code", Some("security code")),
        ("\"api key\"", Some("api key")),
        ("x key", None),
        (" key", None),
        ("key", None),
        ("пароль", Some("пароль")),
        ("mi contraseña", Some("contraseña")),
        ("name", None),
        ("", None),
        ("=", None),
        ("]", None),
        ("\"]", None),
        ("\"", None),
    ] {
        assert_eq!(
            name(text).map(|name| std::str::from_utf8(name.name).unwrap()),
            expected,
            "{text}"
        );
    }
    // What stands before it.
    for sign in STRUCTURAL {
        let text = format!("x{}password", char::from(*sign));
        assert!(name(&text).unwrap().structural, "{text:?}");
        let text = format!("x{} password", char::from(*sign));
        assert!(name(&text).unwrap().structural, "{text:?}");
    }
    for sign in [")", ".", "!", "%", "x ", "the "] {
        let text = format!("x{sign}password");
        assert!(
            name(&text).is_none_or(|name| !name.structural || name.name.contains(&b'.')),
            "{text:?}"
        );
    }
    assert!(name("password").unwrap().structural);
    assert!(name("\\npassword").is_some());
    assert!(name("x\\n password").unwrap().structural);
    for word in EXPORTS {
        let text = format!("{} password", std::str::from_utf8(word).unwrap());
        let name = name(&text).unwrap();
        assert!(name.structural && name.leads, "{text}");
    }
    for word in DECLARES {
        let text = format!("{} password", std::str::from_utf8(word).unwrap());
        let name = name(&text).unwrap();
        assert!(name.structural && !name.leads, "{text}");
    }
    for (text, leads) in [
        ("password", true),
        ("\npassword", true),
        ("\n  password", true),
        ("\r password", true),
        ("- password", true),
        ("\\ password", true),
        ("'password", true),
        ("\"password", true),
        (", password", false),
        ("x password", false),
        ("{password", false),
    ] {
        assert_eq!(name(text).unwrap().leads, leads, "{text:?}");
    }
    for (text, spaced, query, path, quoted, opened) in [
        ("password", false, false, false, false, None),
        ("password ", true, false, false, false, None),
        ("?password", false, true, false, false, None),
        ("&password", false, true, false, false, None),
        ("& password", false, false, false, false, None),
        ("#password", false, false, false, false, None),
        (":password", false, false, true, false, None),
        (": password", false, false, false, false, None),
        (":\"password\"", false, false, false, true, None),
        ("\"password", false, false, false, false, Some(b'"')),
        ("'password", false, false, false, false, Some(b'\'')),
        ("' password", false, false, false, false, None),
        ("'password'", false, false, false, true, None),
    ] {
        let name = name(text).unwrap();
        assert_eq!(
            (name.spaced, name.query, name.path, name.quoted, name.opened),
            (spaced, query, path, quoted, opened),
            "{text}"
        );
    }
    // Nothing below the floor belongs to it.
    for floor in 0..4 {
        let found = name_before(b"password", floor, 8).map(|name| name.name.len());
        assert_eq!(found, (floor == 0).then_some(8), "{floor}");
    }
    for (text, floor, expected) in [
        (&b"mot de passe"[..], 1, "passe"),
        (b"xmot de passe", 2, "passe"),
        (b" mot de passe", 1, "password"),
    ] {
        let found = name_before(text, floor, text.len()).unwrap();
        assert_eq!(found.name, expected.as_bytes(), "{floor}");
    }
    assert!(name_before(b"\"password", 9, 9).is_none());
}

// REQ: L-2
#[test]
fn markup() {
    all("<password>‹hunter2›</password>
<password>  </password>
<password>hunter2</other>
<password>hunter2
<password>‹hunter2›</password
<password/>hunter2</password>
<password />hunter2</password>
<password x=\"1\">‹hunter2›</password>
<password x=\"1\"/>hunter2</password>
<password x=\"1\"<a>hunter2</password>
<ns:password>‹hunter2›</ns:password>
<ns:password a=\"b\">‹hunter2›</ns:password>
<ns:x>hunter2</ns:x>
<password><![CDATA[‹hun<ter2›]]></password>
<password><![CDATA[hunter2</password>
<password>‹a.b-c›</password>
<x name=\"password\">‹hunter2›</x>
<x key=\"password\">‹hunter2›</x>
<x id=\"password\">‹hunter2›</x>
<x name='password'>‹hunter2›</x>
<x key='password'>‹hunter2›</x>
<x other=\"password\">hunter2</x>
<x name=\"other\">hunter2</x>
<x name=\"password>hunter2</x>
<key>Password</key><string>‹hunter2›</string>
<key>Password</key>  <string>‹hunter2›</string>
<Key>Password</Key><Value>‹hunter2›</Value>
<name>Password</name><value>‹hunter2›</value>
<Name> Password </Name><value>‹hunter2›</value>
<name>Other</name><value>hunter2</value>
<name>Password</name><other>hunter2</other>
<x name=\"password\"><value>‹hunter2›</value></x>
<x name=\"password\"> <value>‹hunter2›</value></x>
<x name=\"other\"><value>hunter2</value></x>
key=\"password\" value=\"‹x1y2›\"
name=\"password\" value=\"‹x1y2›\"
id=\"password\" value=\"‹x1y2›\"
type=\"password\" value=\"‹x1y2›\"
property=\"password\" value=\"‹x1y2›\"
name=\"csrf-token\" content=\"‹x1y2›\"
name='password' value='‹x1y2›'
name='password\" value='x1y2'
other=\"password\" value=\"x1y2\"
name=\"other\" value=\"x1y2\"
name=\"password\" value=x1y2
name=\"password\" other=\"x1y2\"
password\" value=\"x1y2\"
?sig=‹0123456789abcdef›
?sig=0123456789abcde
&sig=‹0123456789abcdef›
#sig=‹0123456789abcdef›
;sig=‹0123456789abcdef›
xsig=0123456789abcdef
/sig=0123456789abcdef
?sig=abcdefghijklmnop
?sig=‹0123456789abcdef›&x=1
?sig=‹0123456789abcdef›#x
?sig%3D0123456789abcdef
?name=0123456789abcdef
?sig=0123456789=abcdef
- name: DB_PASSWORD⏎  value: ‹hunter2x›
- name: DB_PASSWORD⏎  value: \"‹hunter2x›\"
- key: DB_PASSWORD⏎  value: '‹hunter2x›'
Name: DB_PASSWORD⏎Value: ‹hunter2x›
Key: \"DB_PASSWORD\"⏎Value: ‹hunter2x›
- other: DB_PASSWORD⏎  value: hunter2x
- name: DB_NAME⏎  value: hunter2x
- name: DB_PASSWORD⏎  other: hunter2x
- name: DB_PASSWORD value: hunter2x
- name: DB_PASSWORD⏎  value: $hunter2x
- name: DB_PASSWORD⏎  value: {hunter2x
- name: DB_PASSWORD⏎  value: [hunter2x
- name: DB_PASSWORD⏎  value:⏎hunter2x
- name: DB_PASSWORD⏎  value: string
- name: DB_PASSWORD⏎- x⏎  value: hunter2x
variable \"password\" {⏎  default = \"‹hunter2x›\"
variable \"password\" {⏎  default = string
variable \"other\" {⏎  default = \"hunter2x\"
output \"password\" {⏎  default = \"hunter2x\"
password: string = \"‹hunter2x›\"
password: Option<String> = '‹hunter2x›'
var password string = \"‹hunter2x›\"
name: string = \"hunter2x\"
password: string = hunter2x
password int = \"hunter2x\"
PWD={‹my;pass›};x
PWD={}
PWD={{x1}}
password={token}
password={value}
password={x:?}
password={0}
password={‹01›}
password=[‹\"abc1\", \"x\"›]
password=[\"ab\"]
password=[‹\"abc\"›]
password=[1, 2]
password=[[\"abc1\"]]
password=[REDACTED]
password={[REDACTED]}
secret={\"a\":1}
phone=[\"4155552671\"]");
    for name in QUERY {
        let name = std::str::from_utf8(name).unwrap();
        exact(&format!("?{name}=‹0123456789abcdef›&x=1"));
    }
    let pad = |count: usize| " ".repeat(count);
    for count in [1, 77] {
        exact(&format!("key=\"password\"{}value=\"‹x1y2›\"", pad(count)));
    }
    exact(&format!("key=\"password\"{}value=\"x1y2\"", pad(78)));
    exact(&format!(
        "<key>password</key>{}<string>‹x1y2›</string>",
        pad(32)
    ));
    exact(&format!(
        "<key>password</key>{}<string>x1y2</string>",
        pad(33)
    ));
    exact(&format!("<password>‹{}›</password>", "x1".repeat(2000)));
    exact(&format!("<password>{}</password>", "x1".repeat(2049)));
    exact(&format!(
        "<{}password>‹x1y2›</{}password>",
        "a.".repeat(28),
        "a.".repeat(28)
    ));
    exact(&format!(
        "<{}password>x1y2</{}password>",
        "a.".repeat(29),
        "a.".repeat(29)
    ));
    exact(&format!("<password {}>‹x1y2›</password>", "a".repeat(120)));
    exact(&format!("<password {}>x1y2</password>", "a".repeat(130)));
    exact(&format!("password: string{}= \"‹x1y2›\"", pad(40)));
    exact(&format!("password: string{}= \"x1y2\"", pad(41)));
    exact(&format!("password={{‹{}›}}", "x;".repeat(255)));
    exact(&format!("password={{{}}}", "x;".repeat(256)));
}
