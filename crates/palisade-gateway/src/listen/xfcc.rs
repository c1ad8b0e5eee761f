//! `X-Forwarded-Client-Cert` as Envoy writes it: elements between commas, one for each proxy, each of
//! pairs between semicolons; what has a sign of these in it stands in quotes.

/// The `Cert` of the only element, as it stands there. `None` where there are several elements: a
/// proxy that only appends leaves in front what the client sent it.
pub(super) fn certificate(field: &str) -> Option<String> {
    let mut rest = field.trim();
    let mut found = None;
    loop {
        let (key, behind) = rest.split_once('=')?;
        let key = key.trim();
        if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return None;
        }
        let (value, behind) = value(behind)?;
        if key.eq_ignore_ascii_case("cert") && found.replace(value).is_some() {
            return None;
        }
        let behind = behind.trim_start();
        if behind.is_empty() {
            return found;
        }
        rest = behind.strip_prefix(';')?.trim_start();
    }
}

/// The value in front, and what stands behind it.
fn value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([';', ',']).unwrap_or(text.len());
        let (value, behind) = text.split_at(end);
        return (!value.contains('"')).then(|| (value.trim_end().to_owned(), behind));
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, quoted.get(at + 1..)?)),
            '\\' => value.push(characters.next()?.1),
            _ => value.push(character),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    // REQ: T-6, T-4
    #[test]
    fn only_the_one_who_is_trusted_is_heard() {
        for (field, found) in [
            (r#"Cert="c""#, Some("c")),
            (
                r#"Hash=ab;Cert="c";Subject="CN=x";URI=spiffe://a/b;DNS=x"#,
                Some("c"),
            ),
            (r#"By=spiffe://a/b;Hash=ab;cert=c"#, Some("c")),
            (r#" Hash=ab ; Cert="c" "#, Some("c")),
            (r#"Subject="CN=\"x\", O=y; Cert=z";Cert="c""#, Some("c")),
            (r#"Cert="c";Subject="/CN=a,Cert=\"d\"""#, Some("c")),
            // What a client sent to a proxy that appends.
            (r#"Cert="forged",Hash=ab;Cert="c""#, None),
            (r#"Hash=ab;Cert="c",Cert="forged""#, None),
            (r#"Cert="forged", Hash=ab"#, None),
            (r#"Hash=ab, Cert="c""#, None),
            (r#"Hash=ab,"#, None),
            (r#",Cert="c""#, None),
            (r#"Cert="forged";Cert="c""#, None),
            (r#"Cert="forged";cert=c"#, None),
            // Inside of what another key says.
            (r#"Subject="Cert=\"forged\"""#, None),
            (r#"Subject="x;Cert=forged""#, None),
            (r#"XCert="forged""#, None),
            (r#"Chain="forged""#, None),
            (r#"Subject=x"Cert="forged""#, None),
            (r#"Cert="unended"#, None),
            (r#"Cert="unended\"#, None),
            (r#"Cert="c"x"#, None),
            (r#"Cert"#, None),
            (r#"="c""#, None),
            ("", None),
            (";", None),
        ] {
            assert_eq!(certificate(field).as_deref(), found, "{field}");
        }
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(field in "[A-Za-z=;,\"\\\\ é]{0,60}") {
            let _ = certificate(&field);
        }

        #[test]
        fn what_another_key_says_is_never_taken(subject in "[A-Za-z=;,\"\\\\ ]{0,40}") {
            let quoted = subject.replace('\\', "\\\\").replace('"', "\\\"");
            let field = format!("Hash=ab;Subject=\"{quoted}\"");
            prop_assert_eq!(certificate(&field), None);
            let field = format!("{field};Cert=\"c\"");
            prop_assert_eq!(certificate(&field), Some("c".to_owned()));
            let field = format!("{field},{field}");
            prop_assert_eq!(certificate(&field), None);
        }
    }
}
