//! Names with stars in them.

/// A name in which `*` stands for any characters, none included. Letters count as they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    text: String,
}

impl Pattern {
    /// The pattern that `text` says.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self {
            text: text.to_owned(),
        }
    }

    /// As it was said.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether `name` fits, in time linear in its length for each star.
    #[must_use]
    pub fn fits(&self, name: &str) -> bool {
        let Some((head, rest)) = self.text.split_once('*') else {
            return self.text == name;
        };
        let Some(mut name) = name.strip_prefix(head) else {
            return false;
        };
        let mut parts = rest.split('*').peekable();
        while let Some(part) = parts.next() {
            if parts.peek().is_none() {
                return name.ends_with(part);
            }
            // The first place is as good as any later one.
            match name.find(part) {
                Some(at) => name = &name[at + part.len()..],
                None => return false,
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    // REQ: A-4
    #[test]
    fn stars_stand_for_anything() {
        for (pattern, name, fits) in [
            ("read_file", "read_file", true),
            ("read_file", "read_files", false),
            ("read_*", "read_", true),
            ("read_*", "read_file", true),
            ("read_*", "Read_file", false),
            ("read_*", "xread_file", false),
            ("*_remove", "file_remove", true),
            ("*_remove", "file_removed", false),
            ("*", "", true),
            ("", "", true),
            ("", "x", false),
            ("a*b*c", "a--b--c", true),
            ("a*b*c", "a--c--b", false),
            ("a*b*c", "abc", true),
            ("a*bc", "abbc", true),
            ("a*a", "a", false),
            ("**", "x", true),
            ("file:///srv/*", "file:///srv/a/b", true),
            ("file:///srv/*", "file:///srvx", false),
        ] {
            assert_eq!(Pattern::new(pattern).fits(name), fits, "{pattern} {name}");
        }
    }

    proptest! {
        #[test]
        fn fits_as_the_regular_expression_does(pattern in "[ab*]{0,8}", name in "[ab]{0,12}") {
            let parts: Vec<_> = pattern.split('*').map(regex::escape).collect();
            let regex = regex::Regex::new(&format!("^(?s:{})$", parts.join(".*"))).unwrap();
            prop_assert_eq!(Pattern::new(&pattern).fits(&name), regex.is_match(&name));
        }
    }
}
