//! Numbers for Prometheus and two questions for whoever watches over the process: does it live
//! (`/healthz`), does it serve (`/readyz`).
//!
//! On an address of its own, since a monitoring system must not be able to do more than look. No
//! label ever holds a client, a device, a profile (usually one child), a name or a rule. What the
//! numbers rest on is the journal's plain totals, in which a lifeline is not counted.

use std::fmt;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, LabelSetEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::api::{List, Status};
use super::{Household, routes, server};

/// Serves metrics and readiness on `listener` until `stop` is done.
pub async fn serve(
    listener: TcpListener,
    household: Arc<dyn Household>,
    stop: impl Future<Output = ()>,
) {
    let (stop_sender, stopped) = watch::channel(false);
    let serving = server::accept_all(&listener, router(household), stopped);
    server::stop_when(stop, stop_sender, serving).await;
}

/// `/metrics`, `/healthz` and `/readyz` before `household`.
fn router(household: Arc<dyn Household>) -> Router {
    let router = Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(readyz));
    routes::with_errors(router).with_state(household)
}

async fn metrics(State(household): State<Arc<dyn Household>>) -> Response {
    match text(&*household) {
        Ok(text) => {
            let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            ([(header::CONTENT_TYPE, kind)], text).into_response()
        }
        Err(fmt::Error) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn readyz(State(household): State<Arc<dyn Household>>) -> Response {
    let reasons = household.not_ready();
    if reasons.is_empty() {
        return "ready\n".into_response();
    }
    let text = reasons.join("\n") + "\n";
    (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
}

/// The metrics page, in OpenMetrics text.
///
/// # Errors
/// When the library cannot write a number, which it always can.
pub fn text(household: &dyn Household) -> Result<String, fmt::Error> {
    let mut registry = Registry::with_prefix("hedgerow");
    registry.register_collector(Box::new(Readings {
        status: household.status(),
        lists: household.lists(),
    }));
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry)?;
    Ok(text)
}

/// Everything the page shows, read at one time.
#[derive(Debug)]
struct Readings {
    status: Status,
    lists: Vec<List>,
}

/// Labels of one sample.
struct Labels<const N: usize>([(&'static str, String); N]);

impl<const N: usize> EncodeLabelSet for Labels<N> {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> Result<(), fmt::Error> {
        self.0.as_slice().encode(encoder)
    }
}

/// Writes families of samples one after the other.
struct Page<'a>(DescriptorEncoder<'a>);

impl Page<'_> {
    fn counter(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        let mut metric = self
            .0
            .encode_descriptor(name, help, None, MetricType::Counter)?;
        metric.encode_counter::<NoLabelSet, u64, u64>(&value, None)
    }

    fn counters<const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = ([(&'static str, String); N], u64)>,
    ) -> fmt::Result {
        let mut metric = self
            .0
            .encode_descriptor(name, help, None, MetricType::Counter)?;
        for (labels, value) in samples {
            metric
                .encode_family(&Labels(labels))?
                .encode_counter::<NoLabelSet, u64, u64>(&value, None)?;
        }
        Ok(())
    }

    fn gauge(&mut self, name: &str, help: &str, unit: Option<&Unit>, value: u64) -> fmt::Result {
        let mut metric = self
            .0
            .encode_descriptor(name, help, unit, MetricType::Gauge)?;
        metric.encode_gauge(&number(value))
    }

    fn gauges<const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        samples: impl IntoIterator<Item = ([(&'static str, String); N], f64)>,
    ) -> fmt::Result {
        let mut metric = self
            .0
            .encode_descriptor(name, help, unit, MetricType::Gauge)?;
        for (labels, value) in samples {
            metric
                .encode_family(&Labels(labels))?
                .encode_gauge(&value)?;
        }
        Ok(())
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "the text format holds floating-point numbers"
)]
fn number(value: u64) -> f64 {
    value as f64
}

impl Collector for Readings {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let mut page = Page(encoder);
        self.process(&mut page)?;
        self.queries(&mut page)?;
        self.durations(&mut page)?;
        self.cache(&mut page)?;
        self.dnssec(&mut page)?;
        self.upstreams(&mut page)?;
        self.certificate(&mut page)?;
        self.lists(&mut page)
    }
}

impl Readings {
    fn process(&self, page: &mut Page<'_>) -> fmt::Result {
        let status = &self.status;
        let version = [("version", status.version.clone())];
        page.gauges(
            "build_info",
            "The program's version, as a label",
            None,
            [(version, 1.0)],
        )?;
        page.gauge(
            "uptime",
            "Since the start",
            Some(&Unit::Seconds),
            status.uptime_s,
        )?;
        if let Some(bytes) = status.memory_rss_bytes {
            let help = "Memory the process occupies";
            page.gauge("resident_memory", help, Some(&Unit::Bytes), bytes)?;
        }
        page.gauge(
            "journal",
            "Memory of the query log and the statistics",
            Some(&Unit::Bytes),
            status.journal_bytes,
        )?;
        page.gauge(
            "config_generation",
            "How often a configuration took effect",
            None,
            status.config_generation,
        )?;
        let last_ok = status.last_reload.as_ref().is_none_or(|report| report.ok);
        page.gauge(
            "config_last_reload_successful",
            "1 if the last reload took effect, or none was tried",
            None,
            u64::from(last_ok),
        )
    }

    fn queries(&self, page: &mut Page<'_>) -> fmt::Result {
        let totals = &self.status.totals;
        page.counters(
            "queries",
            "Queries answered",
            totals.kinds.iter().map(|kind| {
                let labels = [
                    ("protocol", kind.transport.clone()),
                    ("family", kind.family.clone()),
                    ("qtype", kind.qtype.clone()),
                ];
                (labels, kind.count)
            }),
        )?;
        page.counters(
            "responses",
            "Answers by what was done and by RCODE",
            totals.responses.iter().map(|response| {
                let labels = [
                    ("action", response.verdict.clone()),
                    ("rcode", response.rcode.clone()),
                ];
                (labels, response.count)
            }),
        )?;
        let sources = totals.sources.iter();
        page.counters(
            "answers",
            "Answers by where they came from",
            sources.map(|(source, &count)| ([("source", source.clone())], count)),
        )?;
        let blocked = totals.reasons.iter().filter(|reason| reason.blocked > 0);
        page.counters(
            "blocked",
            "Queries blocked, by category or kind of rule",
            blocked.map(|reason| ([("category", reason.reason.clone())], reason.blocked)),
        )?;
        page.counter(
            "ratelimit_drops",
            "Queries dropped because a client sent too many",
            self.status.rate_limited,
        )?;
        page.counter(
            "refused_clients",
            "Queries turned away because their address is not served",
            self.status.refused_clients,
        )?;
        page.counter(
            "void_claims",
            "Queries of a forwarder whose client could not be told",
            self.status.void_claims,
        )
    }

    fn durations(&self, page: &mut Page<'_>) -> fmt::Result {
        let mut metric = page.0.encode_descriptor(
            "request_duration",
            "From the arrival of a query to its answer",
            Some(&Unit::Seconds),
            MetricType::Histogram,
        )?;
        for (source, durations) in &self.status.totals.durations {
            let labels = Labels([("source", source.clone())]);
            let buckets: Vec<_> = durations
                .buckets
                .iter()
                .map(|bucket| (bucket.up_to_s.unwrap_or(f64::INFINITY), bucket.count))
                .collect();
            metric
                .encode_family(&labels)?
                .encode_histogram::<NoLabelSet>(durations.sum_s, durations.count, &buckets, None)?;
        }
        Ok(())
    }

    fn certificate(&self, page: &mut Page<'_>) -> fmt::Result {
        let served = self.status.encrypted.as_ref();
        let Some(certificate) = served.and_then(|it| it.certificate.as_ref()) else {
            return Ok(());
        };
        page.gauge(
            "certificate_expires_timestamp",
            "When the certificate of encrypted DNS expires",
            Some(&Unit::Seconds),
            u64::try_from(certificate.expires).unwrap_or(0),
        )
    }

    fn cache(&self, page: &mut Page<'_>) -> fmt::Result {
        let cache = &self.status.cache;
        page.gauge("cache_entries", "Answers in the cache", None, cache.entries)?;
        let help = "Memory of the cache";
        page.gauge("cache", help, Some(&Unit::Bytes), cache.bytes)?;
        page.counter(
            "cache_hits",
            "Look-ups that found a fresh answer",
            cache.hits,
        )?;
        page.counter("cache_misses", "Look-ups that found none", cache.misses)
    }

    fn dnssec(&self, page: &mut Page<'_>) -> fmt::Result {
        let Some(checks) = &self.status.dnssec else {
            return Ok(());
        };
        let verdicts = [
            ("secure", checks.secure),
            ("insecure", checks.insecure),
            ("bogus", checks.bogus),
        ];
        page.counters(
            "dnssec_answers",
            "Answers of upstreams whose signatures were checked",
            verdicts.map(|(verdict, count)| ([("verdict", verdict.to_owned())], count)),
        )?;
        page.counter(
            "dnssec_signatures",
            "Signatures looked at",
            checks.signatures,
        )
    }

    fn upstreams(&self, page: &mut Page<'_>) -> fmt::Result {
        let upstreams = &self.status.upstreams;
        // The same server may answer for several domains; they are one sample each.
        let labels = |upstream: &super::api::UpstreamStatus| {
            [
                ("upstream", upstream.address.clone()),
                ("protocol", upstream.transport.clone()),
                ("domain", upstream.domain.clone().unwrap_or_default()),
            ]
        };
        page.counters(
            "upstream_failures",
            "Questions an upstream did not answer",
            upstreams.iter().map(|u| (labels(u), u.failures)),
        )?;
        page.gauges(
            "upstream_healthy",
            "1 if the upstream answers at the moment",
            None,
            upstreams
                .iter()
                .map(|u| (labels(u), f64::from(u8::from(u.healthy)))),
        )?;
        page.gauges(
            "upstream_latency",
            "What it takes an upstream to answer, smoothed",
            Some(&Unit::Seconds),
            upstreams
                .iter()
                .filter_map(|u| Some((labels(u), number(u.latency_us?) / 1e6))),
        )?;
        page.gauges(
            "upstream_latency_p95",
            "The time within which 19 of 20 answers of an upstream come, roughly",
            Some(&Unit::Seconds),
            upstreams
                .iter()
                .filter_map(|u| Some((labels(u), number(u.latency_p95_us?) / 1e6))),
        )
    }

    fn lists(&self, page: &mut Page<'_>) -> fmt::Result {
        // Lifelines keep out of sight here too, and so does what is sealed.
        let shown = |list: &&List| !matches!(&*list.kind, "lifeline" | "sealed");
        let lists: Vec<&List> = self.lists.iter().filter(shown).collect();
        let mut by_category = std::collections::BTreeMap::new();
        for list in &lists {
            let sum: &mut u64 = by_category.entry(list.category.clone()).or_default();
            *sum += list.entries;
        }
        page.gauges(
            "list_entries",
            "Lines of lists understood, by category",
            None,
            by_category
                .into_iter()
                .map(|(category, sum)| ([("category", category)], number(sum))),
        )?;
        // Ids are the admin's words: a page of any size must not come of them.
        let downloaded = lists.iter().take(MAX_LISTS);
        let updates = downloaded.filter_map(|list| Some((list, list.updates.as_ref()?)));
        page.gauges(
            "list_age",
            "Since the last good copy of a list was fetched",
            Some(&Unit::Seconds),
            updates.clone().filter_map(|(list, updates)| {
                Some(([("list", list.id.clone())], number(updates.age_s?)))
            }),
        )?;
        page.gauges(
            "list_update_failures",
            "Attempts to update a list that failed since the last that did not",
            None,
            updates.map(|(list, updates)| {
                let failures = f64::from(updates.failures);
                ([("list", list.id.clone())], failures)
            }),
        )?;
        let summary = &self.status.lists;
        page.gauge("lists_names", "Names in the index", None, summary.names)?;
        page.gauge(
            "lists_failed",
            "Lists that could not be loaded",
            None,
            summary.failed.len() as u64,
        )?;
        page.gauge(
            "lists_stale",
            "Lists that hold what they said before",
            None,
            summary.stale.len() as u64,
        )?;
        let help = "Size of the index";
        page.gauge("lists", help, Some(&Unit::Bytes), summary.bytes)
    }
}

/// The most lists that have samples of their own.
const MAX_LISTS: usize = 256;
