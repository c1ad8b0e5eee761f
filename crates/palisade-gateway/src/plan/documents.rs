//! The documents beside the servers: protected resource metadata and keys.

use std::sync::Arc;

use palisade::inspect::Inspection;
use palisade::route::Entry;

use super::error::{StartError, setting};
use super::server::{Parts, ServerPlan, TokioTimer, UpstreamPlan, inspection, upstream_plan};
use crate::auth::{self, Askers};
use crate::config::{Backend as BackendSetting, Settings};
use crate::upstream::head::{Target, UpstreamHost};

/// A document of our own.
pub(super) struct OwnPlan {
    /// The index of the server that it is about.
    pub(super) server: usize,
    pub(super) path: String,
    pub(super) inspect: Arc<Inspection<TokioTimer>>,
    pub(super) route: OwnRoutePlan,
}

pub(super) enum OwnRoutePlan {
    Document(Arc<str>),
    /// The targets at the upstream, and what `resource` becomes.
    Passed(Box<[UpstreamPlan; 2]>, Arc<str>),
}

/// The documents beside the servers: protected resource metadata, our own or an upstream's, and
/// the keys of our assertions.
pub(super) fn own_plans(
    settings: &Settings,
    servers: &[ServerPlan],
    parts: &Parts<'_>,
) -> Result<Vec<OwnPlan>, StartError> {
    let mut plans: Vec<OwnPlan> = Vec::new();
    for (index, (server, plan)) in settings.servers.iter().zip(servers).enumerate() {
        let mut inspect = inspection(server, settings, parts, &plan.shown)?;
        inspect.mcp = false;
        let inspect = Arc::new(inspect);
        let mut add = |path: &str, route| {
            plans.push(OwnPlan {
                server: index,
                path: path.to_owned(),
                inspect: Arc::clone(&inspect),
                route,
            });
        };
        let path = auth::metadata_path(&server.path.value);
        // The root form is about a server that is the only one.
        let mut paths = vec![path.as_str()];
        if settings.servers.len() == 1 && path != auth::RESOURCE_METADATA {
            paths.push(auth::RESOURCE_METADATA);
        }
        match &server.backend {
            _ if !plan.auth.metadata.is_empty() => {
                for path in paths {
                    let document = plan.auth.metadata.as_str().into();
                    add(path, OwnRoutePlan::Document(document));
                }
            }
            BackendSetting::Url(url) if !server.auth.required.value => {
                for path in paths {
                    let mut targets = Vec::new();
                    for at in [
                        auth::metadata_path(&url.value.path),
                        auth::RESOURCE_METADATA.to_owned(),
                    ] {
                        let mut target = upstream_plan(server, url, settings, parts)?;
                        let wanted = format!("{}{at}", url.value.origin());
                        let wanted = wanted.parse().map_err(|error| setting("upstream", error))?;
                        target.target = Target::new(&wanted, path, UpstreamHost::Rewrite)
                            .ok_or_else(|| setting("upstream", "it is no URL"))?;
                        targets.push(target);
                    }
                    if let Ok(targets) = <[UpstreamPlan; 2]>::try_from(targets) {
                        let resource = auth::resource(parts.auth.public(), &server.path.value);
                        add(
                            path,
                            OwnRoutePlan::Passed(Box::new(targets), resource.into()),
                        );
                    }
                }
            }
            _ => {}
        }
    }
    let asked = servers
        .iter()
        .position(|server| server.auth.authenticate.is_some());
    if let (Some(keys), Some(index)) = (parts.auth.assertion_keys(), asked) {
        let server = &settings.servers[index];
        let mut inspect = inspection(server, settings, parts, &servers[index].shown)?;
        inspect.mcp = false;
        plans.push(OwnPlan {
            server: index,
            path: auth::ASSERTION_KEYS.to_owned(),
            inspect: Arc::new(inspect),
            route: OwnRoutePlan::Document(keys.into()),
        });
    }
    Ok(plans)
}

/// The servers and documents in the places that they have on the route.
pub(super) fn askers(servers: &[ServerPlan], own: &[OwnPlan]) -> Askers {
    let place = |server: &ServerPlan, path: &str, authenticator| Entry {
        name: Arc::clone(&server.name),
        host: server.host.clone(),
        path: path.to_owned(),
        service: authenticator,
    };
    let asked = servers
        .iter()
        .map(|server| place(server, &server.path, server.auth.authenticate.clone()));
    let documents = own
        .iter()
        .filter_map(|own| Some(place(servers.get(own.server)?, &own.path, None)));
    Askers::new(asked.chain(documents).collect())
}
