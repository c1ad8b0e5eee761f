use super::*;

fn ip(text: &str) -> IpAddr {
    text.parse().expect(text)
}

fn builder() -> PolicyBuilder {
    Policy::builder().own_addresses(OwnAddresses::fixed([]))
}

fn build(builder: PolicyBuilder) -> Policy {
    builder.build().expect("a policy")
}

fn url(policy: &Policy, url: &str) -> Result<Grant, Reason> {
    let target = policy.check_url(url).map_err(|refusal| refusal.reason())?;
    Ok(target.grant())
}

/// What becomes of a URL whose name has these addresses.
fn resolved(
    policy: &Policy,
    url: &str,
    addresses: &[&str],
) -> Result<(Grant, Vec<String>), Reason> {
    let addresses: Vec<_> = addresses.iter().map(|address| ip(address)).collect();
    let target = policy.check_url(url).map_err(|refusal| refusal.reason())?;
    let checked = policy
        .check_addrs(target, &addresses)
        .map_err(|refusal| refusal.reason())?;
    let addresses = checked.addresses().iter().map(ToString::to_string);
    Ok((checked.grant(), addresses.collect()))
}

// REQ: E-1
#[test]
fn without_an_allowlist_the_public_internet() {
    use Reason::*;
    let policy = build(builder());
    for (text, expected) in [
        ("https://example.com/", Ok(Grant::Public)),
        ("http://example.com/", Ok(Grant::Public)),
        ("http://8.8.8.8/", Ok(Grant::Public)),
        ("http://[2606:4700::1111]/", Ok(Grant::Public)),
        ("http://[64:ff9b::8.8.8.8]/", Ok(Grant::Public)),
        ("https://example.com:8443/", Err(PortNotAllowed)),
        ("http://8.8.8.8:22/", Err(PortNotAllowed)),
        ("http://localhost/", Err(HostLocal)),
        ("http://localhost:3000/", Err(HostLocal)),
        ("http://metadata.google.internal/", Err(HostMetadata)),
        ("http://abc.onion/", Err(HostOnion)),
        ("http://127.0.0.1/", Err(AddressLoopback)),
        ("http://2130706433/", Err(AddressLoopback)),
        ("http://0x7f.1/", Err(AddressLoopback)),
        ("http://[::1]/", Err(AddressLoopback)),
        ("http://[::ffff:127.0.0.1]/", Err(AddressLoopback)),
        ("http://[64:ff9b::10.0.0.1]/", Err(AddressPrivate)),
        ("http://169.254.169.254/", Err(AddressPlatform)),
        ("http://[fd00:ec2::254]/", Err(AddressPlatform)),
        ("http://10.0.0.1/", Err(AddressPrivate)),
        ("http://[fe80::1]/", Err(AddressLinkLocal)),
        ("ftp://example.com/", Err(UrlScheme)),
    ] {
        assert_eq!(url(&policy, text), expected, "{text}");
    }
    let any = build(builder().ports(Ports::Any));
    assert_eq!(url(&any, "http://8.8.8.8:22/"), Ok(Grant::Public));
    assert_eq!(url(&any, "http://10.0.0.1:22/"), Err(AddressPrivate));
    let one = build(builder().ports(Ports::Only(vec![0, 8443])));
    assert_eq!(url(&one, "https://example.com:8443/"), Ok(Grant::Public));
    assert_eq!(url(&one, "https://example.com/"), Err(PortNotAllowed));
}

// REQ: E-1
#[test]
fn every_address_of_an_answer_is_judged() {
    use Reason::*;
    let policy = build(builder());
    let to = |addresses: &[&str]| resolved(&policy, "https://example.com/", addresses);
    let public = |addresses: &[&str]| {
        Ok((
            Grant::Public,
            addresses.iter().map(|&a| a.to_owned()).collect(),
        ))
    };
    assert_eq!(to(&["8.8.8.8"]), public(&["8.8.8.8:443"]));
    assert_eq!(
        to(&["2606:4700::1111", "8.8.8.8"]),
        public(&["[2606:4700::1111]:443", "8.8.8.8:443"])
    );
    assert_eq!(to(&["::ffff:8.8.8.8", "8.8.8.8"]), public(&["8.8.8.8:443"]));
    assert_eq!(to(&[]), Err(DnsNoAddress));
    assert_eq!(to(&["127.0.0.1"]), Err(AddressLoopback));
    assert_eq!(to(&["8.8.8.8", "10.0.0.1"]), Err(AddressPrivate));
    assert_eq!(to(&["10.0.0.1", "8.8.8.8"]), Err(AddressPrivate));
    assert_eq!(
        to(&["8.8.8.8", "::ffff:169.254.169.254"]),
        Err(AddressPlatform)
    );
    assert_eq!(to(&["64:ff9b::127.0.0.1"]), Err(AddressLoopback));
    let many: Vec<_> = (0..100).map(|last| format!("8.8.8.{last}")).collect();
    let mut many: Vec<_> = many.iter().map(String::as_str).collect();
    assert_eq!(to(&many).expect("public addresses").1.len(), MAX_ADDRESSES);
    many.push("10.0.0.1");
    assert_eq!(
        to(&many),
        Err(AddressPrivate),
        "also those that would not be dialed"
    );
}

#[test]
fn a_literal_is_only_itself() {
    let policy = build(builder());
    let to = |addresses: &[&str]| resolved(&policy, "https://8.8.8.8/", addresses);
    assert!(to(&["8.8.8.8"]).is_ok());
    assert_eq!(to(&["8.8.4.4"]), Err(Reason::PeerChanged));
}

#[test]
fn mixed_answers_can_be_sifted() {
    let policy = build(builder().drop_mixed(true));
    let to = |addresses: &[&str]| resolved(&policy, "https://example.com/", addresses);
    let kept = to(&["10.0.0.1", "8.8.8.8", "::1"]).expect("one is good");
    assert_eq!(kept.1, ["8.8.8.8:443"]);
    assert_eq!(to(&["10.0.0.1", "::1"]), Err(Reason::AddressPrivate));
}

// REQ: E-5
#[test]
fn an_allowlist_names_what_may_be_reached() {
    use Reason::*;
    let policy = build(builder().allowlist([
        "api.example.com:8443",
        "*.example.org",
        "8.8.8.8",
        "10.0.0.1",
    ]));
    for (text, expected) in [
        ("https://api.example.com:8443/", Ok(Grant::Listed)),
        ("https://api.example.com/", Err(HostNotListed)),
        ("https://a.example.org/", Ok(Grant::Listed)),
        ("https://a.example.org:8443/", Err(HostNotListed)),
        ("https://example.org/", Err(HostNotListed)),
        ("https://evil.example/", Err(HostNotListed)),
        (
            "https://api.example.com.evil.example:8443/",
            Err(HostNotListed),
        ),
        ("http://8.8.8.8/", Ok(Grant::Listed)),
        ("http://8.8.4.4/", Err(HostNotListed)),
        ("http://10.0.0.1/", Err(AddressPrivate)),
        ("http://127.0.0.1/", Err(AddressLoopback)),
        ("http://localhost/", Err(HostLocal)),
    ] {
        assert_eq!(url(&policy, text), expected, "{text}");
    }
    let to = |addresses: &[&str]| resolved(&policy, "https://a.example.org/", addresses);
    assert_eq!(
        to(&["8.8.8.8"]),
        Ok((Grant::Listed, vec!["8.8.8.8:443".to_owned()]))
    );
    assert_eq!(to(&["10.0.0.1"]), Err(AddressPrivate));
}

// REQ: E-5
#[test]
fn an_empty_allowlist_allows_nothing() {
    let policy = build(builder().allowlist(Vec::<String>::new()).ports(Ports::Any));
    for text in [
        "https://example.com/",
        "http://8.8.8.8/",
        "http://[2606:4700::1111]/",
        "http://a.b:1/",
    ] {
        assert_eq!(url(&policy, text), Err(Reason::HostNotListed), "{text}");
    }
}

// REQ: E-5
#[test]
fn report_mode_lets_unlisted_hosts_pass_but_nothing_special() {
    use Reason::*;
    let policy = build(builder().allowlist(["api.example.com"]).report(true));
    for (text, expected) in [
        ("https://api.example.com/", Ok(Grant::Listed)),
        ("https://other.example/", Ok(Grant::Reported)),
        ("https://other.example:8443/", Ok(Grant::Reported)),
        ("http://8.8.8.8/", Ok(Grant::Reported)),
        ("http://10.0.0.1/", Err(AddressPrivate)),
        ("http://localhost/", Err(HostLocal)),
        ("http://metadata.google.internal/", Err(HostMetadata)),
    ] {
        assert_eq!(url(&policy, text), expected, "{text}");
    }
    let to = |addresses: &[&str]| resolved(&policy, "https://other.example/", addresses);
    assert_eq!(to(&["8.8.8.8"]).map(|to| to.0), Ok(Grant::Reported));
    assert_eq!(to(&["8.8.8.8", "::1"]), Err(AddressLoopback));
    let special = build(
        builder()
            .allowlist(["a.example"])
            .report(true)
            .allow_special(["10.0.0.1:80"]),
    );
    assert_eq!(url(&special, "http://10.0.0.1/"), Ok(Grant::Reported));
    let to = resolved(&special, "http://other.example/", &["10.0.0.1"]);
    assert_eq!(to.map(|to| to.0), Ok(Grant::Reported));
}

#[test]
fn special_addresses_are_opened_one_by_one() {
    use Reason::*;
    let policy = build(builder().allow_special([
        "127.0.0.1:3000",
        "10.1.0.0/16",
        "10.2.0.0/16:5432",
        "169.254.0.0/16",
        "168.63.129.16:80",
        "[::1]:3001",
    ]));
    for (text, expected) in [
        ("http://127.0.0.1:3000/", Ok(Grant::Special)),
        ("http://[::ffff:127.0.0.1]:3000/", Ok(Grant::Special)),
        ("http://2130706433:3000/", Ok(Grant::Special)),
        ("http://127.0.0.1:3001/", Err(AddressLoopback)),
        ("http://127.0.0.1/", Err(AddressLoopback)),
        ("http://127.0.0.2:3000/", Err(AddressLoopback)),
        ("http://[64:ff9b::127.0.0.1]:3000/", Err(AddressLoopback)),
        ("http://[::1]:3001/", Ok(Grant::Special)),
        ("http://[::1]:3000/", Err(AddressLoopback)),
        ("http://8.8.8.8:3000/", Err(PortNotAllowed)),
        ("http://10.1.2.3/", Ok(Grant::Special)),
        ("http://10.1.2.3:3000/", Err(AddressPrivate)),
        ("http://10.2.2.3:5432/", Ok(Grant::Special)),
        ("http://10.2.2.3/", Err(AddressPrivate)),
        ("http://10.3.2.3/", Err(AddressPrivate)),
        ("http://169.254.1.1/", Ok(Grant::Special)),
        ("http://169.254.169.254/", Err(AddressPlatform)),
        ("http://168.63.129.16/", Ok(Grant::Special)),
        ("http://168.63.129.16:443/", Err(AddressPlatform)),
        ("http://example.com:5432/", Ok(Grant::Public)), // until it is looked up
        ("http://localhost:3000/", Err(HostLocal)),
    ] {
        assert_eq!(url(&policy, text), expected, "{text}");
    }
    let to = |text: &str, addresses: &[&str]| resolved(&policy, text, addresses).map(|to| to.0);
    assert_eq!(
        to("http://a.example:3000/", &["127.0.0.1"]),
        Ok(Grant::Special)
    );
    assert_eq!(
        to("http://a.example:3000/", &["127.0.0.1", "8.8.8.8"]),
        Err(PortNotAllowed)
    );
    assert_eq!(
        to("http://a.example:3000/", &["8.8.8.8"]),
        Err(PortNotAllowed)
    );
    assert_eq!(
        to("http://a.example:5432/", &["10.2.0.1"]),
        Ok(Grant::Special)
    );
    assert_eq!(
        to("http://a.example:5432/", &["10.1.0.1"]),
        Err(AddressPrivate)
    );
    assert_eq!(
        to("http://a.example/", &["10.1.0.1", "8.8.8.8"]),
        Ok(Grant::Special)
    );
    assert_eq!(
        to("http://a.example/", &["169.254.169.254"]),
        Err(AddressPlatform)
    );
}

#[test]
fn a_port_is_opened_by_the_entry_that_names_it() {
    for entry in ["127.0.0.1:3000", "127.0.0.0/8:3000"] {
        let policy = build(builder().allow_special([entry]));
        let target = policy.check_url("http://a.example:3000/x#y").expect(entry);
        let canonical = target.url().map(Url::as_str);
        assert_eq!(canonical, Some("http://a.example:3000/x"));
        let other = url(&policy, "http://a.example:3001/");
        assert_eq!(other, Err(Reason::PortNotAllowed), "{entry}");
    }
}

#[test]
fn a_local_name_is_reached_where_it_is_listed_exactly() {
    use Reason::*;
    let policy = build(
        builder()
            .allowlist([
                "localhost:3000",
                "db.internal:5432",
                "*.prod.internal",
                "abc.onion",
                "metadata.google.internal",
            ])
            .allow_special(["127.0.0.1:3000", "10.0.0.5:5432"]),
    );
    assert_eq!(url(&policy, "http://localhost:3000/"), Ok(Grant::Listed));
    assert_eq!(url(&policy, "http://localhost:3001/"), Err(HostLocal));
    assert_eq!(url(&policy, "http://db.internal:5432/"), Ok(Grant::Listed));
    assert_eq!(url(&policy, "http://a.prod.internal/"), Err(HostLocal));
    assert_eq!(url(&policy, "http://abc.onion/"), Err(HostOnion));
    assert_eq!(
        url(&policy, "http://metadata.google.internal/"),
        Ok(Grant::Listed)
    );
    let to = |text: &str, address: &str| resolved(&policy, text, &[address]).map(|to| to.0);
    assert_eq!(
        to("http://db.internal:5432/", "10.0.0.5"),
        Ok(Grant::Special)
    );
    assert_eq!(
        to("http://db.internal:5432/", "10.0.0.6"),
        Err(AddressPrivate)
    );
    assert_eq!(
        to("http://metadata.google.internal/", "169.254.169.254"),
        Err(AddressPlatform)
    );
}

#[test]
fn denied_ranges_come_first() {
    let policy = build(
        builder()
            .deny(["8.8.8.0/24", "2606::/16", "10.0.0.1"])
            .allow_special(["10.0.0.1:80"]),
    );
    assert_eq!(url(&policy, "http://8.8.8.8/"), Err(Reason::AddressDenied));
    assert_eq!(
        url(&policy, "http://[64:ff9b::8.8.8.8]/"),
        Err(Reason::AddressDenied)
    );
    assert_eq!(
        url(&policy, "http://[2606::1]/"),
        Err(Reason::AddressDenied)
    );
    assert_eq!(url(&policy, "http://10.0.0.1/"), Err(Reason::AddressDenied));
    assert_eq!(url(&policy, "http://8.8.4.4/"), Ok(Grant::Public));
}

// REQ: E-1
#[test]
fn this_machines_own_addresses_are_refused() {
    let own = OwnAddresses::fixed([ip("93.184.216.34"), ip("2606:2800::1")]);
    let policy = build(
        builder()
            .own_addresses(own)
            .allow_special(["93.184.216.34:443"]),
    );
    assert_eq!(
        url(&policy, "http://93.184.216.34/"),
        Err(Reason::AddressOwn)
    );
    assert_eq!(
        url(&policy, "http://[::ffff:93.184.216.34]/"),
        Err(Reason::AddressOwn)
    );
    assert_eq!(
        url(&policy, "http://[64:ff9b::93.184.216.34]/"),
        Err(Reason::AddressOwn)
    );
    assert_eq!(
        url(&policy, "http://[2606:2800::1]/"),
        Err(Reason::AddressOwn)
    );
    assert_eq!(url(&policy, "https://93.184.216.34/"), Ok(Grant::Special));
    assert_eq!(url(&policy, "http://93.184.216.35/"), Ok(Grant::Public));
    let to = resolved(
        &policy,
        "http://example.com/",
        &["8.8.8.8", "93.184.216.34"],
    );
    assert_eq!(to, Err(Reason::AddressOwn));
}

#[test]
fn nat64_of_this_network_is_decoded() {
    let policy = build(builder().nat64(["2a00:64::/96", "64:ff9b:1::/96"]));
    for (text, expected) in [
        ("http://[2a00:64::8.8.8.8]/", Ok(Grant::Public)),
        ("http://[2a00:64::10.0.0.1]/", Err(Reason::AddressPrivate)),
        (
            "http://[2a00:64::169.254.169.254]/",
            Err(Reason::AddressPlatform),
        ),
        ("http://[64:ff9b:1::8.8.8.8]/", Ok(Grant::Public)),
        (
            "http://[64:ff9b:1::127.0.0.1]/",
            Err(Reason::AddressLoopback),
        ),
        (
            "http://[64:ff9b:1:1::8.8.8.8]/",
            Err(Reason::AddressNat64Local),
        ),
        ("http://[2a00:65::10.0.0.1]/", Ok(Grant::Public)),
    ] {
        assert_eq!(url(&policy, text), expected, "{text}");
    }
    let policy = build(builder().nat64(["2a00:64::/48"]));
    assert_eq!(
        url(&policy, "http://[2a00:64:0:808:8:800::]/"),
        Ok(Grant::Public)
    );
    assert_eq!(
        url(&policy, "http://[2a00:64:0:808:8:800::1]/"),
        Err(Reason::AddressNat64Local)
    );
}

#[test]
fn aliases_are_judged_by_name() {
    let policy = build(builder());
    let target = policy
        .check_url("https://example.com/")
        .expect("a public name");
    let names = |names: &[&str]| {
        names
            .iter()
            .map(|name| Name::from_ascii(name).expect("a name"))
            .collect::<Vec<_>>()
    };
    let check = |aliases: &[&str]| {
        policy
            .check_aliases(&target, &names(aliases))
            .map_err(|refusal| refusal.reason())
    };
    assert_eq!(check(&[]), Ok(()));
    assert_eq!(check(&["cdn.example.net", "_x.example.net."]), Ok(()));
    assert_eq!(
        check(&["cdn.example.net", "metadata.google.internal"]),
        Err(Reason::DnsAlias)
    );
    assert_eq!(check(&["localhost"]), Err(Reason::DnsAlias));
    for number in ["169.254.169.254", "0x7f.1", "2130706433"] {
        assert_eq!(check(&[number]), Err(Reason::DnsAlias), "{number}");
    }
    let policy = build(builder().allowlist(["db.internal:5432"]));
    let target = policy
        .check_authority("db.internal:5432")
        .expect("named exactly");
    assert!(
        policy
            .check_aliases(&target, &names(&["db1.internal"]))
            .is_ok()
    );
    for alias in ["metadata.google.internal", "x.onion"] {
        assert!(
            policy.check_aliases(&target, &names(&[alias])).is_err(),
            "{alias}"
        );
    }
    let listed = build(builder().allowlist(["api.example.com"]));
    let target = listed
        .check_url("https://api.example.com/")
        .expect("listed");
    assert!(
        listed
            .check_aliases(&target, &names(&["db.internal"]))
            .is_err()
    );
}

// REQ: E-1
#[test]
fn redirects_are_judged_like_urls() {
    use Reason::*;
    let policy = build(builder());
    let from = |text: &str| Url::parse(text).expect(text);
    let https = from("https://example.com/a");
    let http = from("http://example.com/a");
    for (base, location, expected) in [
        (&https, "/b", Ok(())),
        (&https, "https://other.example/", Ok(())),
        (&https, "//other.example/", Ok(())),
        (&http, "https://example.com/", Ok(())),
        (&http, "http://other.example/", Ok(())),
        (&https, "http://example.com/", Err(RedirectDowngrade)),
        (&https, "http://127.0.0.1/", Err(RedirectDowngrade)),
        (&http, "http://127.0.0.1/", Err(AddressLoopback)),
        (&http, "http://169.254.169.254/", Err(AddressPlatform)),
        (&https, "//localhost/", Err(HostLocal)),
        (&https, "file:///etc/passwd", Err(UrlScheme)),
        (&https, "//example.com:22/", Err(PortNotAllowed)),
    ] {
        let judged = policy
            .check_redirect(base, location)
            .map(|_| ())
            .map_err(|r| r.reason());
        assert_eq!(judged, expected, "{base} {location}");
    }
}

#[test]
fn authorities_and_hosts() {
    let policy = build(builder());
    assert!(policy.check_authority("example.com:443").is_ok());
    assert_eq!(
        policy
            .check_authority("127.1:443")
            .expect_err("loopback")
            .reason(),
        Reason::AddressLoopback
    );
    let host = Host::parse("example.com").expect("a host");
    let target = policy.check_host(host.clone(), 443).expect("public");
    assert_eq!(
        (target.host(), target.port(), target.url()),
        (&host, 443, None)
    );
    assert_eq!(
        policy.check_host(host, 0).expect_err("no port").reason(),
        Reason::PortNotAllowed
    );
}

#[test]
fn all_problems_are_told_at_once() {
    let error = builder()
        .allowlist(["*", "ok.example"])
        .allow_special(["0.0.0.0/0"])
        .deny(["x"])
        .nat64(["y"])
        .build()
        .expect_err("bad entries");
    let PolicyError::Entries(problems) = &error else {
        panic!("{error}");
    };
    let keys: Vec<_> = problems.iter().map(|problem| problem.key).collect();
    assert_eq!(keys, ["egress", "allow_special", "deny", "nat64"]);
    assert_eq!(error.to_string().lines().count(), 4);
}

#[test]
fn without_own_addresses_those_of_the_interfaces() {
    let policy = Policy::builder().build().expect("interfaces can be listed");
    assert!(policy.own_addresses().contains(ip("127.0.0.1")));
}

// REQ: E-5
#[test]
fn ports_that_are_named() {
    let policy = Policy::builder()
        .allowlist(["a.example", "b.example:8443", "*.c.example:*"])
        .allow_special(["10.0.0.1:5432", "10.1.0.0/16", "10.2.0.0/16:6379"])
        .build()
        .expect("a policy");
    assert_eq!(policy.ports(), [80, 443, 5432, 6379, 8443]);
    let policy = Policy::builder()
        .ports(Ports::Any)
        .build()
        .expect("a policy");
    assert_eq!(policy.ports(), [0; 0]);
}
