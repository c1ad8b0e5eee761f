//! From settings to the policies of the layers, one function each.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use palisade::cors::CorsPolicy;
use palisade::headers::{HeaderPolicy, Hsts, Variant};
use palisade::origins::OriginSet;
use palisade::rate::{Quota, Style};
use palisade_http1::HeadLimits;
use palisade_http1::server as http1;

use super::error::{StartError, setting};
use crate::config::{
    Answers, Headers, HostEntry, Limits, Mode, Policy, RateHeaders, RateLimit, Settings, Window,
};
use crate::listen::h2::Http2Limits;
use crate::listen::redirect::Redirect;
use crate::path::HttpLimits;

pub(super) fn http_limits(limits: &Limits) -> HttpLimits {
    let timeouts = &limits.timeouts;
    let header_bytes = to_usize(limits.header_bytes.value);
    HttpLimits {
        http2: Http2Limits {
            streams: limits.streams.value,
            header_bytes,
            header_count: limits.header_count.value as usize,
            first_byte: timeouts.first_byte.value,
            headers: timeouts.headers.value,
            idle: timeouts.idle.value,
            write: timeouts.write.value,
        },
        http1: http1::Config {
            limits: http1::Limits {
                head: HeadLimits {
                    bytes: header_bytes,
                    fields: limits.header_count.value as usize,
                },
            },
            patience: http1::Patience {
                first_byte: timeouts.first_byte.value,
                head: timeouts.headers.value,
                body: timeouts.body.value,
                idle: timeouts.idle.value,
                write: timeouts.write.value,
            },
        },
    }
}

pub(super) fn entry_text(entry: &HostEntry) -> String {
    match entry.port {
        Some(port) => format!("{}:{port}", entry.host),
        None => entry.host.clone(),
    }
}

pub(super) fn origin_set(policy: &Policy) -> Result<OriginSet, StartError> {
    let mut set = OriginSet::new();
    for origin in &policy.cors.origins.value {
        set.insert(&origin.value.text)
            .map_err(|error| setting("cors.origins", error))?;
    }
    for regex in &policy.cors.origin_regexes.value {
        set.insert_regex(&regex.value.text)
            .map_err(|error| setting("cors.origin_regexes", error))?;
    }
    if policy.cors.loopback_origins.value {
        set.insert_loopback();
    }
    Ok(set)
}

pub(super) fn cors_policy(policy: &Policy) -> Result<CorsPolicy, StartError> {
    let cors = &policy.cors;
    let mut private = OriginSet::new();
    for origin in &cors.private_network.value {
        private
            .insert(&origin.value.text)
            .map_err(|error| setting("cors.private_network", error))?;
    }
    CorsPolicy::builder(origin_set(policy)?)
        .mode(mode(cors.mode.value))
        .credentials(cors.credentials.value)
        .max_age(u32::try_from(cors.max_age.value.as_secs()).unwrap_or(u32::MAX))
        .methods(
            cors.methods
                .value
                .iter()
                .map(|method| method.value.as_str().to_owned()),
        )
        .replace_headers(true)
        .allow_headers(
            cors.allow_headers
                .value
                .iter()
                .map(|name| name.value.as_str().to_owned()),
        )
        .expose_headers(
            cors.expose_headers
                .value
                .iter()
                .map(|name| name.value.as_str().to_owned()),
        )
        .private_network(private)
        .build()
        .map_err(|error| setting("cors", error))
}

/// What servers start from. Without origins the rest, such as credentials, is for those servers
/// that name their own.
pub(super) fn common_cors_policy(defaults: &Policy) -> Result<CorsPolicy, StartError> {
    if !origin_set(defaults)?.is_empty() {
        return cors_policy(defaults);
    }
    CorsPolicy::builder(OriginSet::new())
        .mode(mode(defaults.cors.mode.value))
        .build()
        .map_err(|error| setting("cors", error))
}

pub(super) fn header_policy(headers: &Headers) -> Result<HeaderPolicy, StartError> {
    let hsts = headers.hsts.value.map(|hsts| Hsts {
        max_age: hsts.max_age.as_secs(),
        include_subdomains: hsts.include_subdomains,
        preload: hsts.preload,
    });
    let mut builder = HeaderPolicy::builder()
        .mode(mode(headers.mode.value))
        .hsts(hsts);
    for header in &headers.fixed {
        let variants: &[Variant] = match header.on {
            Answers::All | Answers::Silent => &[Variant::Html, Variant::Other],
            Answers::Html => &[Variant::Html],
            Answers::Other => &[Variant::Other],
        };
        for variant in variants {
            builder = match &header.value.value {
                Some(value) => builder.set_for(*variant, header.name.clone(), value.clone()),
                None => builder.omit_for(*variant, &header.name),
            };
        }
    }
    for name in &headers.keep.value {
        builder = builder.keep(name.value.clone());
    }
    builder.build().map_err(|error| setting("headers", error))
}

pub(super) fn quota(
    limit: RateLimit,
    burst: Option<NonZeroU32>,
    times: u32,
) -> Result<Quota, StartError> {
    let requests = limit
        .requests
        .saturating_mul(NonZeroU32::new(times).unwrap_or(NonZeroU32::MIN));
    let window = Duration::from_secs(match limit.per {
        Window::Second => 1,
        Window::Minute => 60,
        Window::Hour => 3600,
    });
    let quota = Quota::new(requests, window).map_err(|error| setting("rate.peer", error))?;
    Ok(match burst {
        Some(burst) => quota.with_burst(burst),
        None => quota,
    })
}

pub(super) const fn style_of(style: RateHeaders) -> Style {
    match style {
        RateHeaders::Draft6 => Style::Draft6,
        RateHeaders::Draft8 => Style::Draft8,
        RateHeaders::Legacy => Style::Legacy,
    }
}

pub(super) const fn mode(mode: Mode) -> palisade::Mode {
    match mode {
        Mode::Enforce => palisade::Mode::Enforce,
        Mode::Off => palisade::Mode::Off,
        Mode::Report => palisade::Mode::Report,
    }
}

pub(super) fn redirect(settings: &Settings, addresses: &[SocketAddr]) -> Redirect {
    let hosts: Vec<String> = addresses
        .iter()
        .flat_map(|address| settings.hosts_on(*address))
        .map(|entry| entry.value.host)
        .collect();
    let port = match &settings.public_url {
        Some(url) => url.value.port_or_default(),
        None => addresses.first().map_or(443, SocketAddr::port),
    };
    Redirect::new(hosts.iter().map(String::as_str), port)
}

pub(super) fn to_usize(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}
