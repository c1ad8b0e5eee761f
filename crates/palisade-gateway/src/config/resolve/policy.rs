//! The sections that a server may repeat.

use std::num::NonZeroU32;

use http::{HeaderName, HeaderValue, Method};

use super::super::document;
use super::super::file::{self, File, NumberOrText, OrFalse};
use super::super::names::Fault;
use super::super::origins::{OriginPattern, OriginRegex};
use super::super::problem::ProblemCode;
use super::super::settings::{
    Audit, AuditRule, Body, Cors, Headers, Hsts, List, MCP_EXPOSED_HEADERS, MCP_REQUEST_HEADERS,
    Mode, Policy, Rate, Redact, Rotate, Value,
};
use super::super::shape::closest;
use super::{Resolver, above_nought, bytes, rate, seconds};

/// The policy sections of the file or of one server.
pub(super) struct Said<'a> {
    prefix: String,
    mode: Option<&'a document::Said<Mode>>,
    origin: &'a file::Guard,
    cors: &'a file::Cors,
    headers: &'a file::Headers,
    rate: &'a file::Rate,
    body_mode: Option<&'a document::Said<Mode>>,
    body: Option<&'a document::Said<NumberOrText>>,
    json_depth: Option<&'a document::Said<u32>>,
    audit: &'a file::Audit,
    egress_mode: Option<&'a document::Said<Mode>>,
}

impl<'a> Said<'a> {
    pub(super) fn of_file(file: &'a File) -> Self {
        Self {
            prefix: String::new(),
            mode: file.mode.as_ref(),
            origin: &file.origin,
            cors: &file.cors,
            headers: &file.headers,
            rate: &file.rate,
            body_mode: file.limits.mode.as_ref(),
            body: file.limits.body.as_ref(),
            json_depth: file.limits.json_depth.as_ref(),
            audit: &file.audit,
            egress_mode: file.egress.mode.as_ref(),
        }
    }

    pub(super) fn of_server(server: &'a file::Server, name: &str) -> Self {
        Self {
            prefix: format!("server.{name}."),
            mode: server.mode.as_ref(),
            origin: &server.origin,
            cors: &server.cors,
            headers: &server.headers,
            rate: &server.rate,
            body_mode: server.limits.mode.as_ref(),
            body: server.limits.body.as_ref(),
            json_depth: server.limits.json_depth.as_ref(),
            audit: &server.audit,
            egress_mode: None,
        }
    }
}

impl Resolver<'_> {
    /// `said` over `base`. A mode is the section's own, else the one said beside it, else the
    /// base's for that section: what is said nearer wins.
    pub(super) fn policy(
        &mut self,
        said: &Said<'_>,
        base: &Policy,
        above: Option<&file::Cors>,
    ) -> Policy {
        let mut policy = base.clone();
        if said.mode.is_some() {
            self.copy(&mut policy.mode, said.mode);
            for mode in [
                &mut policy.origin_mode,
                &mut policy.cors.mode,
                &mut policy.headers.mode,
                &mut policy.rate.mode,
                &mut policy.body.mode,
                &mut policy.egress_mode,
            ] {
                mode.clone_from(&policy.mode);
            }
        }
        self.copy(&mut policy.origin_mode, said.origin.mode.as_ref());
        self.copy(&mut policy.egress_mode, said.egress_mode);
        self.section = format!("{}cors", said.prefix);
        self.cors(&mut policy.cors, said.cors, above);
        self.section = format!("{}headers", said.prefix);
        self.headers(&mut policy.headers, said.headers);
        self.section = format!("{}rate", said.prefix);
        self.rate(&mut policy.rate, said.rate);
        self.section = format!("{}limits", said.prefix);
        self.body(&mut policy.body, said);
        self.section = format!("{}audit", said.prefix);
        self.audit(&mut policy.audit, said.audit);
        self.section.clear();
        policy
    }

    fn cors(&mut self, cors: &mut Cors, said: &file::Cors, above: Option<&file::Cors>) {
        self.copy(&mut cors.mode, said.mode.as_ref());
        let origin = |text: &String| OriginPattern::parse(text);
        self.list(&mut cors.origins, said.origins.as_ref(), "origins", origin);
        self.list(
            &mut cors.origin_regexes,
            said.origin_regexes.as_ref(),
            "origin_regexes",
            |text| OriginRegex::parse(text),
        );
        self.list(
            &mut cors.private_network,
            said.private_network.as_ref(),
            "private_network",
            origin,
        );
        self.copy(&mut cors.credentials, said.credentials.as_ref());
        self.value(&mut cors.max_age, said.max_age.as_ref(), "max_age", seconds);
        self.list(
            &mut cors.methods,
            said.methods.as_ref(),
            "methods",
            |text| method(text),
        );
        if said.allow_headers.is_some() || said.replace_headers.is_some() {
            let added = said
                .allow_headers
                .as_ref()
                .or_else(|| above.and_then(|cors| cors.allow_headers.as_ref()));
            let replace = said
                .replace_headers
                .as_ref()
                .or_else(|| above.and_then(|cors| cors.replace_headers.as_ref()));
            let replace = replace.is_some_and(|replace| replace.value);
            let base: &[&'static str] = if replace { &[] } else { &MCP_REQUEST_HEADERS };
            self.headers_beside(&mut cors.allow_headers, base, added, "allow_headers");
        }
        if said.expose_headers.is_some() {
            let added = said.expose_headers.as_ref();
            self.headers_beside(
                &mut cors.expose_headers,
                &MCP_EXPOSED_HEADERS,
                added,
                "expose_headers",
            );
        }
    }

    fn headers_beside(
        &mut self,
        slot: &mut List<HeaderName>,
        base: &[&'static str],
        added: Option<&document::Said<Vec<document::Said<String>>>>,
        name: &str,
    ) {
        let mut own = List::default();
        self.list(&mut own, added, name, |text| header_name(text));
        let mut values: Vec<_> = base
            .iter()
            .map(|name| Value::from(HeaderName::from_static(name)))
            .collect();
        for header in own.value {
            if !values.iter().any(|known| known.value == header.value) {
                values.push(header);
            }
        }
        *slot = Value::new(values, own.source);
    }

    fn headers(&mut self, headers: &mut Headers, said: &file::Headers) {
        self.copy(&mut headers.mode, said.mode.as_ref());
        if let Some(hsts) = &said.hsts {
            let source = self.places.source(hsts.at);
            match &hsts.value {
                OrFalse::False => headers.hsts = Value::new(None, source),
                OrFalse::Set(parts) => {
                    let merged = self.hsts(headers.hsts.value.unwrap_or_default(), parts, hsts.at);
                    headers.hsts = Value::new(Some(merged), source);
                }
            }
        }
        for header in &mut headers.fixed {
            let said = match header.key {
                "x_frame_options" => &said.x_frame_options,
                "x_content_type_options" => &said.x_content_type_options,
                "permissions_policy" => &said.permissions_policy,
                "cross_origin_resource_policy" => &said.cross_origin_resource_policy,
                "cross_origin_opener_policy" => &said.cross_origin_opener_policy,
                "origin_agent_cluster" => &said.origin_agent_cluster,
                "x_permitted_cross_domain_policies" => &said.x_permitted_cross_domain_policies,
                "x_dns_prefetch_control" => &said.x_dns_prefetch_control,
                "cache_control" => &said.cache_control,
                "referrer_policy" => &said.referrer_policy,
                "referrer_policy_other" => &said.referrer_policy_other,
                "csp" => &said.csp,
                "csp_other" => &said.csp_other,
                _ => &None,
            };
            let key = header.key;
            self.value(&mut header.value, said.as_ref(), key, |said| match said {
                OrFalse::False => Ok(None),
                OrFalse::Set(text) => header_value(key, text).map(Some),
            });
        }
        self.list(&mut headers.keep, said.keep.as_ref(), "keep", |text| {
            header_name(text)
        });
    }

    fn hsts(&mut self, base: Hsts, said: &file::Hsts, at: document::At) -> Hsts {
        let mut max_age = Value::from(base.max_age);
        self.value(&mut max_age, said.max_age.as_ref(), "hsts.max_age", seconds);
        let mut include = Value::from(base.include_subdomains);
        self.copy(&mut include, said.include_subdomains.as_ref());
        let mut preload = Value::from(base.preload);
        self.copy(&mut preload, said.preload.as_ref());
        let hsts = Hsts {
            max_age: max_age.value,
            include_subdomains: include.value,
            preload: preload.value,
        };
        let at = said.preload.as_ref().map_or(at, |preload| preload.at);
        if hsts.preload && (!hsts.include_subdomains || hsts.max_age.as_secs() < 31_536_000) {
            self.report(
                ProblemCode::Contradiction,
                "hsts.preload",
                at,
                "the preload list takes a site only with its subdomains and for a year at least",
                "set `include_subdomains = true` and `max_age = 31536000` or more, or take `preload` out",
            );
        }
        hsts
    }

    fn rate(&mut self, slot: &mut Rate, said: &file::Rate) {
        self.copy(&mut slot.mode, said.mode.as_ref());
        self.value(&mut slot.peer, said.peer.as_ref(), "peer", |text| {
            rate(text)
        });
        self.value(&mut slot.limit, said.limit.as_ref(), "limit", |text| {
            rate(text)
        });
        self.value(&mut slot.failed, said.failed.as_ref(), "failed", |text| {
            rate(text)
        });
        self.value(&mut slot.burst, said.burst.as_ref(), "burst", |count| {
            Ok(NonZeroU32::new(*count))
        });
        self.list(
            &mut slot.headers,
            said.headers.as_ref(),
            "headers",
            |form| Ok(*form),
        );
    }

    fn body(&mut self, body: &mut Body, said: &Said<'_>) {
        self.copy(&mut body.mode, said.body_mode);
        self.value(&mut body.limit, said.body, "body", |said| {
            bytes(said, 1, 1 << 40)
        });
        self.copy(&mut body.json_depth, said.json_depth);
    }

    fn audit(&mut self, audit: &mut Audit, said: &file::Audit) {
        self.copy(&mut audit.fail, said.fail.as_ref());
        self.copy(&mut audit.write_ahead, said.write_ahead.as_ref());
        self.list(
            &mut audit.destructive,
            said.destructive.as_ref(),
            "destructive",
            |pattern: &String| {
                if pattern.is_empty() {
                    let remedy = "write a tool's name, such as \"delete_*\"";
                    return Err(Fault::new("the pattern is empty", remedy));
                }
                Ok(pattern.clone())
            },
        );
        self.audit_rules(audit, said);
        self.rotate(&mut audit.rotate, &said.rotate);
        self.durability(audit, said);
        self.sinks(audit, said);
    }

    fn durability(&mut self, audit: &mut Audit, said: &file::Audit) {
        let Some(said) = &said.durability else { return };
        if self.section == "audit" {
            audit.durability = Value::new(said.value, self.places.source(said.at));
            return;
        }
        self.report(
            ProblemCode::BadValue,
            "durability",
            said.at,
            "all servers share one audit trail in this version",
            "set `durability` under [audit]",
        );
    }

    fn audit_rules(&mut self, audit: &mut Audit, said: &file::Audit) {
        if let Some(key) = &said.pseudonym_key {
            if self.section == "audit" {
                audit.pseudonym_key = Some(self.path(key));
            } else {
                self.report(
                    ProblemCode::BadValue,
                    "pseudonym_key",
                    key.at,
                    "all servers share one key",
                    "set `pseudonym_key` under [audit]",
                );
            }
        }
        let Some(rules) = &said.rule else { return };
        let mut values = Vec::new();
        for rule in &rules.value {
            let at = rule.at;
            let rule = &rule.value;
            let Some(tool) = rule.tool.as_ref().filter(|tool| !tool.value.is_empty()) else {
                self.report(
                    ProblemCode::Missing,
                    "rule.tool",
                    at,
                    "the rule means no tool",
                    "add `tool = \"read_*\"`, say; `*` alone means every tool",
                );
                continue;
            };
            let allow: Vec<String> = rule
                .allow
                .iter()
                .flat_map(|list| &list.value)
                .map(|path| path.value.clone())
                .collect();
            let redact = rule
                .redact
                .as_ref()
                .map(|said| said.value)
                .unwrap_or_default();
            if let Some(list) = &rule.allow {
                let paths = allow.iter().map(String::as_str);
                if let Err(error) = palisade_audit::ToolPolicy::allow(paths) {
                    let cause = error.to_string();
                    let (cause, remedy) = cause.split_once("; ").unwrap_or((&cause, ""));
                    self.report(ProblemCode::BadValue, "rule.allow", list.at, cause, remedy);
                    continue;
                }
                if redact == Redact::Whole && !allow.is_empty() {
                    self.report(
                        ProblemCode::Contradiction,
                        "rule.allow",
                        list.at,
                        "nothing stays where all is replaced",
                        "take `allow` or `redact = \"whole\"` out",
                    );
                    continue;
                }
            }
            let rule = AuditRule {
                tool: tool.value.clone(),
                level: rule
                    .level
                    .as_ref()
                    .map(|said| said.value)
                    .unwrap_or_default(),
                redact,
                allow,
            };
            values.push(Value::new(rule, self.places.source(at)));
        }
        audit.rules = Value::new(values, self.places.source(rules.at));
    }

    fn rotate(&mut self, rotate: &mut Rotate, said: &file::Rotate) {
        if self.section != "audit" {
            let said = [
                said.size.as_ref().map(|said| said.at),
                said.every.as_ref().map(|said| said.at),
                said.compress.as_ref().map(|said| said.at),
                said.keep.as_ref().map(|said| said.at),
                said.keep_for.as_ref().map(|said| said.at),
            ];
            if let Some(at) = said.into_iter().flatten().next() {
                self.report(
                    ProblemCode::BadValue,
                    "rotate",
                    at,
                    "all servers share one audit trail in this version",
                    "set it under [audit.rotate]",
                );
            }
            return;
        }
        let size = said.size.as_ref();
        self.value(&mut rotate.size, size, "rotate.size", |said| {
            bytes(said, 64 << 10, 1 << 40)
        });
        self.option(
            &mut rotate.every,
            said.every.as_ref(),
            "rotate.every",
            |text| above_nought(text),
        );
        self.copy(&mut rotate.compress, said.compress.as_ref());
        rotate.keep = self.said(said.keep.as_ref());
        self.option(
            &mut rotate.keep_for,
            said.keep_for.as_ref(),
            "rotate.keep_for",
            |text| above_nought(text),
        );
    }
}

fn method(text: &str) -> Result<Method, Fault> {
    let upper = text.to_ascii_uppercase();
    if text == "*" {
        return Err(Fault::new(
            "`*` names no method",
            "name each method, such as \"GET\"",
        ));
    }
    if upper == "CONNECT" || upper == "TRACE" {
        return Err(Fault::new(
            "no web page may ever send this method",
            "take it out",
        ));
    }
    match Method::from_bytes(text.as_bytes()) {
        Ok(method) if text == upper => Ok(method),
        Ok(_) => Err(Fault::new(
            "methods are compared letter by letter, and standard ones are in capitals",
            &format!("write \"{upper}\""),
        )),
        Err(_) => Err(Fault::new(
            "it is not a method",
            "write one such as \"GET\"",
        )),
    }
}

fn header_name(text: &str) -> Result<HeaderName, Fault> {
    if text.contains('*') {
        return Err(Fault::new(
            "a header is a name, not a pattern",
            "name each header",
        ));
    }
    HeaderName::from_bytes(text.as_bytes()).map_err(|_| {
        Fault::new(
            "it is not the name of a header",
            "write one such as \"X-Request-ID\"",
        )
    })
}

fn header_value(key: &str, text: &str) -> Result<HeaderValue, Fault> {
    if text.trim().is_empty() {
        return Err(Fault::new(
            "the header would be empty",
            "write `false` to remove it",
        ));
    }
    let words: &[&str] = match key {
        "cross_origin_opener_policy" => &[
            "same-origin",
            "same-origin-allow-popups",
            "noopener-allow-popups",
            "unsafe-none",
        ],
        "cross_origin_resource_policy" => &["same-origin", "same-site", "cross-origin"],
        "origin_agent_cluster" => &["?1", "?0"],
        "x_content_type_options" => &["nosniff"],
        "x_dns_prefetch_control" => &["off", "on"],
        "x_frame_options" => &["DENY", "SAMEORIGIN"],
        "x_permitted_cross_domain_policies" => &[
            "none",
            "none-this-response",
            "master-only",
            "by-content-type",
            "by-ftp-filename",
            "all",
        ],
        "referrer_policy" | "referrer_policy_other" => &[
            "no-referrer",
            "no-referrer-when-downgrade",
            "same-origin",
            "origin",
            "strict-origin",
            "origin-when-cross-origin",
            "strict-origin-when-cross-origin",
            "unsafe-url",
        ],
        _ => &[],
    };
    if !words.is_empty() && !words.contains(&text) {
        let listed: Vec<_> = words.iter().map(|word| format!("\"{word}\"")).collect();
        let near = closest(text, words.iter().copied())
            .map_or_else(String::new, |word| format!("did you mean \"{word}\"? "));
        return Err(Fault::new(
            "no browser knows this value, and each would ignore the header",
            &format!("{near}it takes {}, or false", listed.join(", ")),
        ));
    }
    if !text.is_ascii() || text.trim() != text {
        return Err(Fault::new(
            "a header's value is plain ASCII without spaces at its ends",
            "write it without them",
        ));
    }
    HeaderValue::from_str(text).map_err(|_| {
        Fault::new(
            "a header's value has no line breaks and no control characters",
            "write it on one line",
        )
    })
}
