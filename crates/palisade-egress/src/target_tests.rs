use proptest::prelude::*;

use super::*;

type Read<H> = Result<(H, u16), Reason>;

fn read(text: &str) -> Read<String> {
    let destination = Destination::from_url(text).map_err(|refusal| refusal.reason())?;
    Ok((destination.host.to_string(), destination.port))
}

// REQ: E-1
#[test]
fn urls() {
    use Reason::*;
    let long = format!("http://example.com/{}", "a".repeat(MAX_URL));
    let longest = format!("http://example.com/{}", "a".repeat(MAX_URL - 19));
    let cases: &[(&str, Read<&str>)] = &[
        ("http://example.com", Ok(("example.com", 80))),
        ("https://example.com", Ok(("example.com", 443))),
        ("HTTPS://EXAMPLE.com./a?b#c", Ok(("example.com", 443))),
        ("http://example.com:8080/", Ok(("example.com", 8080))),
        ("http://example.com:/", Ok(("example.com", 80))),
        ("http://example.com:00080/", Ok(("example.com", 80))),
        ("http://example.com?x=a@b", Ok(("example.com", 80))),
        ("http://example.com/@user", Ok(("example.com", 80))),
        ("http://example.com#a@b", Ok(("example.com", 80))),
        ("http://example.com/a b", Ok(("example.com", 80))),
        (r"http://example.com/?re=\d", Ok(("example.com", 80))),
        (r"http://example.com/#\d", Ok(("example.com", 80))),
        (
            "https://bücher.example/",
            Ok(("xn--bcher-kva.example", 443)),
        ),
        (
            "https://xn--bcher-kva.example/",
            Ok(("xn--bcher-kva.example", 443)),
        ),
        ("https://ex%61mple.com/", Ok(("example.com", 443))),
        ("https://example。com/", Ok(("example.com", 443))),
        ("https://example.com/ünï", Ok(("example.com", 443))),
        ("http://8.8.8.8/", Ok(("8.8.8.8", 80))),
        ("http://8.8.8.8./", Ok(("8.8.8.8", 80))),
        ("http://8.8.8.0:80/", Ok(("8.8.8.0", 80))),
        ("http://8.8.8.01/", Ok(("8.8.8.1", 80))),
        ("http://8.8.8.007/", Ok(("8.8.8.7", 80))),
        ("http://8.8.8.0x0/", Ok(("8.8.8.0", 80))),
        ("http://134744072/", Ok(("8.8.8.8", 80))),
        ("http://0x08080808/", Ok(("8.8.8.8", 80))),
        ("http://8.8.2056/", Ok(("8.8.8.8", 80))),
        (
            "http://[2606:4700::1111]:8443/",
            Ok(("[2606:4700::1111]", 8443)),
        ),
        ("http://[::ffff:8.8.8.8]/", Ok(("8.8.8.8", 80))),
        ("http://[::ffff:127.0.0.1]/", Ok(("127.0.0.1", 80))),
        ("http://[::ffff:7f00:1]/", Ok(("127.0.0.1", 80))),
        ("http://127.1/", Ok(("127.0.0.1", 80))),
        ("http://127.0.1/", Ok(("127.0.0.1", 80))),
        ("http://2130706433/", Ok(("127.0.0.1", 80))),
        ("http://0x7f000001/", Ok(("127.0.0.1", 80))),
        ("http://0X7F.1/", Ok(("127.0.0.1", 80))),
        ("http://0x7f.0x0.0x0.0x1/", Ok(("127.0.0.1", 80))),
        ("http://0x/", Ok(("0.0.0.0", 80))),
        ("http://0/", Ok(("0.0.0.0", 80))),
        ("http://127.00.000.1/", Ok(("127.0.0.1", 80))),
        ("http://%31%32%37.0.0.1/", Ok(("127.0.0.1", 80))),
        ("http://①②⑦.⓪.⓪.①/", Ok(("127.0.0.1", 80))),
        ("http://１２７.0.0.1/", Ok(("127.0.0.1", 80))),
        ("http://127。0。0。1/", Ok(("127.0.0.1", 80))),
        ("http://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ/", Ok(("localhost", 80))),
        ("http://loc\u{ad}alhost/", Ok(("localhost", 80))),
        ("http://faß.example/", Ok(("xn--fa-hia.example", 80))),
        (
            "http://fa%C3%9F-1.example/",
            Ok(("xn--fa-1-wna.example", 80)),
        ),
        ("http://ς.example/", Ok(("xn--3xa.example", 80))),
        ("http://ẞ.example/", Err(HostAmbiguous)),
        ("http://a%E1%BA%9Eb.example/", Err(HostAmbiguous)),
        ("http://faß💩.example/", Err(HostAmbiguous)),
        ("http://fa%C3%9F.💩.example/", Err(HostAmbiguous)),
        ("http://xß--a.example/", Err(HostAmbiguous)),
        ("http://xs--ß.example/", Err(HostAmbiguous)),
        ("http://-ß.example/", Err(HostAmbiguous)),
        ("http://ß-.example/", Err(HostAmbiguous)),
        ("http://ß_.example/", Err(HostAmbiguous)),
        ("http://x--ß.example/", Ok(("xn--x---7ka.example", 80))),
        ("http://💩.example/ß", Ok(("xn--ls8h.example", 80))),
        ("http://017700000001/", Err(HostAmbiguous)),
        ("http://0177.0.0.1/", Err(HostAmbiguous)),
        ("http://010.8.8.8/", Err(HostAmbiguous)),
        ("http://8.8.8.010/", Err(HostAmbiguous)),
        ("http://%3010.8.8.8/", Err(HostAmbiguous)),
        ("http://０１０.8.8.8/", Err(HostAmbiguous)),
        ("http://010.8.8.8:80/", Err(HostAmbiguous)),
        ("http://08.8.8.8/", Err(UrlMalformed)),
        ("http://256.0.0.1/", Err(UrlMalformed)),
        ("http://1.2.3.4.5/", Err(UrlMalformed)),
        ("http://4294967296/", Err(UrlMalformed)),
        ("http://127.0.0.1.x.1/", Err(UrlMalformed)),
        ("http://[fe80::1%25eth0]/", Err(UrlMalformed)),
        ("http://[::1/", Err(UrlMalformed)),
        ("http://::1/", Err(UrlMalformed)),
        ("http://[127.0.0.1]/", Err(UrlMalformed)),
        ("http://example.com%00.evil.example/", Err(UrlMalformed)),
        ("http://example.com%0a/", Err(UrlMalformed)),
        ("http://exa%20mple.com/", Err(UrlMalformed)),
        ("http://example.com%2f.evil.example/", Err(UrlMalformed)),
        ("http://example.com%40evil.example/", Err(UrlMalformed)),
        ("http://example.com:65536/", Err(UrlMalformed)),
        ("http://example.com:80a/", Err(UrlMalformed)),
        ("http://example.com:-1/", Err(UrlMalformed)),
        ("http://example.com:0/", Err(PortNotAllowed)),
        ("http://example..com/", Err(HostMalformed)),
        ("http://.example.com/", Err(HostMalformed)),
        ("http://example.com../", Err(HostMalformed)),
        ("http://a$b.example/", Err(HostMalformed)),
        ("http://./", Err(HostMalformed)),
        ("", Err(UrlMalformed)),
        ("example.com", Err(UrlMalformed)),
        ("//example.com/", Err(UrlMalformed)),
        ("/path", Err(UrlMalformed)),
        ("[::1]", Err(UrlMalformed)),
        ("1http://example.com/", Err(UrlMalformed)),
        ("ht tp://example.com/", Err(UrlMalformed)),
        ("://example.com/", Err(UrlMalformed)),
        ("http:/example.com/", Err(UrlAmbiguous)),
        ("http:example.com", Err(UrlAmbiguous)),
        ("http:", Err(UrlAmbiguous)),
        ("http://", Err(UrlAmbiguous)),
        ("http:///example.com/", Err(UrlAmbiguous)),
        ("http:////example.com/", Err(UrlAmbiguous)),
        ("http://?x", Err(UrlAmbiguous)),
        ("http://#x", Err(UrlAmbiguous)),
        (r"http:\\example.com\", Err(UrlAmbiguous)),
        (r"http:/\example.com/", Err(UrlAmbiguous)),
        (r"http://\example.com/", Err(UrlAmbiguous)),
        (r"http://example.com\@evil.example/", Err(UrlAmbiguous)),
        (r"http://example.com/a\b", Err(UrlAmbiguous)),
        ("http://user@example.com/", Err(UrlUserinfo)),
        ("http://user:pass@example.com/", Err(UrlUserinfo)),
        ("http://@example.com/", Err(UrlUserinfo)),
        ("http://:@example.com/", Err(UrlUserinfo)),
        ("http://a@b@example.com/", Err(UrlUserinfo)),
        ("http://example.com:80@127.0.0.1/", Err(UrlUserinfo)),
        ("http://127.0.0.1#@example.com/", Ok(("127.0.0.1", 80))),
        (" http://example.com/", Err(UrlWhiteSpace)),
        ("http://example.com/ ", Err(UrlWhiteSpace)),
        ("http://example.com /", Err(UrlWhiteSpace)),
        ("http:// example.com/", Err(UrlWhiteSpace)),
        ("http://exa\u{3000}mple.com/", Err(UrlWhiteSpace)),
        ("http://example.com/\u{a0}", Err(UrlWhiteSpace)),
        ("\thttp://example.com/", Err(UrlControl)),
        ("ht\ntp://example.com/", Err(UrlControl)),
        ("http://exam\tple.com/", Err(UrlControl)),
        ("http://example.com/\r\nHost: x", Err(UrlControl)),
        ("http://example.com/\0", Err(UrlControl)),
        ("http://example.com/\u{85}", Err(UrlControl)),
        ("file:///etc/passwd", Err(UrlScheme)),
        ("ftp://example.com/", Err(UrlScheme)),
        ("gopher://example.com/", Err(UrlScheme)),
        ("ws://example.com/", Err(UrlScheme)),
        ("httpx://example.com/", Err(UrlScheme)),
        ("data:text/plain,x", Err(UrlScheme)),
        ("javascript:alert(1)", Err(UrlScheme)),
        ("example.com:80", Err(UrlScheme)),
        ("localhost:80/", Err(UrlScheme)),
        ("jar:http://example.com/", Err(UrlScheme)),
        ("url:http://example.com/", Err(UrlScheme)),
        (&long, Err(UrlTooLong)),
        (&longest, Ok(("example.com", 80))),
    ];
    for (text, expected) in cases {
        let expected = expected.map(|(host, port)| (host.to_owned(), port));
        assert_eq!(read(text), expected, "{text:?}");
    }
}

#[test]
fn what_goes_on_the_wire_is_canonical() {
    for (text, canonical) in [
        ("HTTP://EXAMPLE.COM.", "http://example.com/"),
        (
            "https://example.com:443/a/../b#frag",
            "https://example.com/b",
        ),
        ("http://0x08080808/", "http://8.8.8.8/"),
        ("http://Bücher.example/", "http://xn--bcher-kva.example/"),
    ] {
        let destination = Destination::from_url(text).expect(text);
        assert_eq!(destination.url.expect("a URL").as_str(), canonical);
    }
}

// REQ: E-1
#[test]
fn locations() {
    use Reason::*;
    let base = Url::parse("https://example.com:8443/a/b?c").expect("a URL");
    let cases = [
        ("/x", Ok("https://example.com:8443/x")),
        ("x", Ok("https://example.com:8443/a/x")),
        ("?x", Ok("https://example.com:8443/a/b?x")),
        ("#x", Ok("https://example.com:8443/a/b?c")),
        ("", Ok("https://example.com:8443/a/b?c")),
        ("../../../x", Ok("https://example.com:8443/x")),
        ("//other.example/x", Ok("https://other.example/x")),
        ("//other.example:1/x", Ok("https://other.example:1/x")),
        ("http://other.example", Ok("http://other.example/")),
        ("x/a:b", Ok("https://example.com:8443/a/x/a:b")),
        ("///other.example/x", Err(UrlAmbiguous)),
        ("//", Err(UrlAmbiguous)),
        (r"\\other.example\x", Err(UrlAmbiguous)),
        (r"/\other.example/x", Err(UrlAmbiguous)),
        (r"//\other.example/x", Err(UrlAmbiguous)),
        (r"x\y", Err(UrlAmbiguous)),
        ("https:/x", Err(UrlAmbiguous)),
        ("https:x", Err(UrlAmbiguous)),
        ("https:///other.example", Err(UrlAmbiguous)),
        ("//user@other.example/", Err(UrlUserinfo)),
        ("//other.example /", Err(UrlWhiteSpace)),
        (" //other.example/", Err(UrlWhiteSpace)),
        ("/a\tb", Err(UrlControl)),
        ("//010.8.8.8/", Err(HostAmbiguous)),
        ("//[::1/", Err(UrlMalformed)),
        ("file:///etc/passwd", Err(UrlScheme)),
        ("javascript:alert(1)", Err(UrlScheme)),
        ("gopher://other.example/", Err(UrlScheme)),
    ];
    for (location, expected) in cases {
        let read = Destination::from_location(&base, location);
        let read = read.map(|to| to.url.expect("a URL").to_string());
        let read = read.map_err(|refusal| refusal.reason());
        assert_eq!(read, expected.map(str::to_owned), "{location:?}");
    }
}

#[test]
fn authorities() {
    use Reason::*;
    let cases = [
        ("example.com:443", Ok("example.com:443")),
        ("EXAMPLE.com.:8443", Ok("example.com:8443")),
        ("8.8.8.8:443", Ok("8.8.8.8:443")),
        ("[2606:4700::1111]:443", Ok("[2606:4700::1111]:443")),
        ("127.1:443", Ok("127.0.0.1:443")),
        ("[::ffff:127.0.0.1]:443", Ok("127.0.0.1:443")),
        ("example.com", Err(HostMalformed)),
        ("example.com:", Err(PortNotAllowed)),
        ("example.com:0", Err(PortNotAllowed)),
        ("example.com:+443", Err(PortNotAllowed)),
        ("example.com:65536", Err(PortNotAllowed)),
        ("example.com:000443", Err(PortNotAllowed)),
        (":443", Err(HostMalformed)),
        ("user@example.com:443", Err(HostMalformed)),
        ("example.com/x:443", Err(HostMalformed)),
        ("example.com?x:443", Err(HostMalformed)),
        ("exa mple.com:443", Err(HostMalformed)),
        ("example.com\0:443", Err(HostMalformed)),
        ("example.com\t:443", Err(HostMalformed)),
        ("2606:4700::1111:443", Err(HostMalformed)),
        ("example.com:80:443", Err(HostMalformed)),
        ("010.8.8.8:443", Err(HostAmbiguous)),
    ];
    for (text, expected) in cases {
        let read = Destination::from_authority(text);
        let read = read.map(|to| format!("{}:{}", to.host, to.port));
        let read = read.map_err(|refusal| refusal.reason());
        assert_eq!(read, expected.map(str::to_owned), "{text:?}");
    }
}

#[test]
fn a_refusal_keeps_queries_and_control_characters_out_of_the_log() {
    let refusal = Destination::from_url("ftp://example.com/\u{1b}?token=secret");
    let refusal = refusal.expect_err("a control character");
    assert_eq!(refusal.detail(), r"ftp://example.com/\u{1b}");
}

#[test]
fn hosts_are_as_long_as_urls_at_most() {
    let number = |length: usize| format!("0x{}08080808", "0".repeat(length - 10));
    let eights = Host::Address([8, 8, 8, 8].into());
    assert_eq!(Host::parse(&number(MAX_URL)), Ok(eights));
    let longer = Host::parse(&number(MAX_URL + 1));
    assert_eq!(longer, Err(Reason::HostMalformed));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    #[test]
    fn whatever_is_read_is_read_alike_again(text in r"(?i)https?:[/\\]{0,3}[a-z0-9@:.%\[\]\\/?#\t ⓛ。-]{0,40}") {
        if let Ok(first) = Destination::from_url(&text) {
            let url = first.url.clone().expect("a URL");
            let again = Destination::from_url(url.as_str());
            prop_assert_eq!(again.as_ref(), Ok(&first), "{}", url);
            prop_assert!(!url.authority().contains('@'));
        }
    }

    #[test]
    fn nothing_panics(text in any::<String>(), base in "https?://[a-z.]{1,9}/[a-z]{0,4}") {
        let _ = Destination::from_url(&text);
        let _ = Destination::from_authority(&text);
        let _ = Host::parse(&text);
        if let Ok(base) = Url::parse(&base) {
            let _ = Destination::from_location(&base, &text);
        }
    }
}
