//! A household for tests: a real journal and made-up answers.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::api::{
    BadLine, CacheStatus, Certificate, Device, DeviceChange, DeviceMac, DeviceSummary,
    DnssecStatus, Encrypted, Evidence, ExplainedDevice, ExplainedProfile, ExplainedQuestion,
    Explanation, Flushed, Invitation, List, ListMatch, ListSearch, ListSummary, ListUpdateReport,
    ListUpdated, ListUpdates, Listener, LooksLike, NewDevice, Profile, ReloadReport, Status,
    UpstreamStatus, Voice, VoiceEffect,
};
use super::{
    Asker, Boxed, ControlError, DeviceRequest, ExplainRequest, Household, InviteQuery,
    ListUpdateRequest,
};
use crate::clock::{ManualTime, Moment, Timestamp};
use crate::config::Privacy;
use crate::grants::Grants;
use crate::journal::{Journal, LogFilter, LogPage, Outcome, Source, Top, Transport, qtype_label};
use crate::name::NameBuf;
use crate::verdict::{Cause, Reason, Tier, Trigger, Verdict};

/// A household that knows a tablet and remembers what it is told.
pub(crate) struct FakeHousehold {
    pub(crate) journal: Journal,
    pub(crate) ready: AtomicBool,
    pub(crate) reload_works: AtomicBool,
    pub(crate) reload_panics: AtomicBool,
    pub(crate) reloads: AtomicU64,
    pub(crate) updates: Mutex<Vec<ListUpdateRequest>>,
    pub(crate) changes: Mutex<Vec<DeviceRequest>>,
    pub(super) family: Mutex<Grants>,
}

impl FakeHousehold {
    pub(crate) fn new() -> Arc<Self> {
        let time = ManualTime::starting_at("2026-11-22T12:00:00Z".parse::<Timestamp>().unwrap());
        time.advance(Duration::from_secs(3600));
        Arc::new(Self {
            journal: Journal::new(1 << 16, time.clock()),
            ready: AtomicBool::new(true),
            reload_works: AtomicBool::new(true),
            reload_panics: AtomicBool::new(false),
            reloads: AtomicU64::new(0),
            updates: Mutex::default(),
            changes: Mutex::default(),
            family: Mutex::default(),
        })
    }

    pub(crate) fn explained(request: &ExplainRequest) -> Result<Explanation, ControlError> {
        let known_by = match &request.asker {
            Asker::Device(name) if name != "tablet" => {
                return Err(ControlError::not_found(
                    format!("there is no device `{}`", name.escape_debug()),
                    "did you mean `tablet`?",
                ));
            }
            Asker::Device(_) => "its name".to_owned(),
            Asker::Client(address, _) => format!("address {address}"),
            Asker::Guest => "nothing".to_owned(),
        };
        Ok(Explanation {
            question: ExplainedQuestion {
                name: request.qname.to_string(),
                qtype: qtype_label(request.qtype).into_owned(),
                at: request.at.map(|at| at.to_string()),
            },
            device: ExplainedDevice {
                label: "tablet".into(),
                known_by,
                confidence: "high".into(),
                chain: match request.asker {
                    Asker::Client(address, _) => {
                        vec![address.to_string(), "tablet".into(), "profile mia".into()]
                    }
                    _ => vec![],
                },
            },
            profile: ExplainedProfile {
                name: "mia".into(),
                preset: "schoolchild".into(),
                inherits: vec!["schoolchild".into()],
            },
            voices: vec![
                Voice {
                    tier: "child-safety".into(),
                    who: "list starter-gambling".into(),
                    category: Some("gambling".into()),
                    text: Some("||casino.example.org^".into()),
                    file: Some("/etc/hedgerow/lists/gambling.txt".into()),
                    line: Some(12),
                    effect: VoiceEffect::Block,
                    decisive: true,
                    ..Voice::default()
                },
                Voice {
                    tier: "lists".into(),
                    who: "list starter-gambling".into(),
                    text: Some("@@||casino.example.org^".into()),
                    effect: VoiceEffect::Exception,
                    note: Some("an exception can't lift a block of a higher tier".into()),
                    ..Voice::default()
                },
            ],
            verdict: "block".into(),
            reason: "gambling (list starter-gambling)".into(),
            answer: "0.0.0.0".into(),
            ttl: Some(10),
            notes: vec![],
        })
    }

    /// Lets the tablet ask for `name`, which is on a list if it says so itself.
    pub(crate) fn ask(&self, name: &str) {
        let listed = |tier, category| Reason {
            tier,
            cause: Cause::List {
                list: "starter-gambling",
                category,
                labels: 2,
            },
            trigger: Trigger::Qname,
        };
        let verdict = if name.starts_with("casino") {
            Verdict::Block(listed(Tier::ChildSafety, "gambling"))
        } else if name.starts_with("helpline") {
            Verdict::Allow(listed(Tier::Lifeline, "lifeline"))
        } else {
            Verdict::Allow(Reason::UNLISTED)
        };
        self.journal.record(&Outcome {
            at: Moment::from_micros(90 * 1_000_000),
            transport: Transport::Udp,
            device: "tablet",
            client: "192.0.2.7".parse().unwrap(),
            profile: "mia",
            privacy: Privacy::Names,
            qname: NameBuf::parse(name).unwrap(),
            qtype: 1,
            verdict,
            of_lifeline: false,
            source: if verdict.is_block() {
                Source::Own
            } else {
                Source::Upstream
            },
            rcode: 0,
            took: Duration::from_micros(1500),
        });
    }
}

impl Household for FakeHousehold {
    fn status(&self) -> Status {
        Status {
            version: "0.1.0".into(),
            pid: 4711,
            uptime_s: 93_784,
            config: "/etc/hedgerow/hedgerow.toml".into(),
            config_generation: 2,
            last_reload: Some(ReloadReport {
                at: "2026-11-22T11:00:00Z".into(),
                ok: true,
                config_generation: 2,
                took_ms: 12,
                ..ReloadReport::default()
            }),
            listeners: vec![Listener {
                address: "0.0.0.0:53".into(),
                transport: "udp".into(),
                name: None,
            }],
            encrypted: Some(Encrypted {
                name: "dns.home.example".into(),
                dot: Some(853),
                doh: Some("https://dns.home.example/dns-query".into()),
                doq: None,
                certificate: Some(Certificate {
                    next_authority_sha256: Some(vec!["CD"; 32].join(":")),
                    next_authority_not_after: Some("2046-11-22T00:00:00Z".into()),
                    issuer: "household".into(),
                    not_before: "2026-11-21T12:00:00Z".into(),
                    not_after: "2027-02-20T12:00:00Z".into(),
                    expires: 1_803_124_800,
                    covers_ids: true,
                    authority_sha256: Some(vec!["AB"; 32].join(":")),
                    authority_not_after: Some("2036-11-22T00:00:00Z".into()),
                    authority_pem: Some("-----BEGIN CERTIFICATE-----\nMAo=\n".into()),
                }),
                discovered: true,
                dnsmasq: vec!["dhcp-option=162,00:01".into()],
                odhcpd: vec!["list dnr '1 dns.home.example 192.0.2.1 alpn=dot port=853'".into()],
            }),
            workers: 2,
            totals: self.journal.totals(),
            in_flight: 1,
            rate_limited: 4,
            refused_clients: 0,
            void_claims: 3,
            cache: CacheStatus {
                entries: 100,
                bytes: 65_536,
                max_bytes: 4 << 20,
                hits: 300,
                misses: 100,
            },
            dnssec: Some(DnssecStatus {
                secure: 70,
                insecure: 25,
                bogus: 5,
                signatures: 180,
                elsewhere: 1,
            }),
            devices: DeviceSummary { named: 1, new: 2 },
            lists: ListSummary {
                count: 2,
                names: 1_234_567,
                bytes: 8_000_000,
                failed: vec!["school".into()],
                stale: vec!["malware".into()],
            },
            upstreams: vec![UpstreamStatus {
                address: "192.0.2.53:53".into(),
                transport: "udp".into(),
                domain: None,
                resolvers: Vec::new(),
                tier: 1,
                fallback: false,
                healthy: true,
                state: "healthy".into(),
                failures: 1,
                latency_us: Some(12_300),
                latency_p95_us: Some(38_443),
                last_error: None,
            }],
            evidence: vec![Evidence {
                name: "neighbour table".into(),
                state: "missing".into(),
                detail: "the kernel does not tell it: Operation not permitted".into(),
            }],
            journal_bytes: 70_000,
            memory_rss_bytes: Some(9_000_000),
            warnings: vec!["list `school` could not be loaded: no such file".into()],
        }
    }

    fn explain(&self, request: ExplainRequest) -> Boxed<'_, Result<Explanation, ControlError>> {
        Box::pin(std::future::ready(Self::explained(&request)))
    }

    fn devices(&self) -> Vec<Device> {
        let seen = self.journal.devices();
        let tablet = seen.iter().find(|d| d.device == "tablet");
        vec![
            Device {
                name: "tablet".into(),
                profile: "mia".into(),
                known_by: vec!["02:00:5e:10:00:01".into(), "interface wlan1".into()],
                confidence: Some("high".into()),
                macs: vec![DeviceMac {
                    mac: "02:00:5e:10:00:01".into(),
                    made_up: true,
                    shared: true,
                }],
                addresses: vec![
                    "192.0.2.7".into(),
                    "2001:db8::7".into(),
                    "2001:db8::8".into(),
                    "fe80::7%br-lan".into(),
                ],
                host_name: Some("mias-tablet".into()),
                file: Some("/var/lib/hedgerow/devices.toml".into()),
                line: Some(4),
                queries: tablet.map(|d| d.queries),
                blocked: tablet.map(|d| d.blocked),
                blocked_by: tablet.map(|d| d.blocked_by.clone()).unwrap_or_default(),
                last_seen: tablet.and_then(|d| d.last_seen.clone()),
            },
            Device {
                name: "guest".into(),
                profile: "unknown".into(),
                ..Device::default()
            },
        ]
    }

    fn new_devices(&self) -> Vec<NewDevice> {
        vec![
            NewDevice {
                number: 3,
                mac: Some(DeviceMac {
                    mac: "02:00:5e:10:00:09".into(),
                    made_up: true,
                    shared: false,
                }),
                addresses: vec!["192.0.2.9".into()],
                host_name: Some("mias-tablet".into()),
                client_id: Some("ff00".into()),
                first_seen: Some("2026-11-22T11:00:00Z".into()),
                last_seen: Some("2026-11-22T12:00:00Z".into()),
                recent_queries: 5,
                recent_blocked: 1,
                looks_like: Some(LooksLike {
                    device: "tablet".into(),
                    profile: "mia".into(),
                    because: "host name mias-tablet".into(),
                    command: "hedgerow device assign tablet --mac 02:00:5e:10:00:09".into(),
                }),
            },
            NewDevice {
                number: 4,
                addresses: vec!["198.51.100.7".into()],
                ..NewDevice::default()
            },
        ]
    }

    fn invite(&self, query: InviteQuery) -> Boxed<'_, Result<Invitation, ControlError>> {
        Box::pin(async move {
            if query.who != "tablet" {
                let error = format!("nobody is known as `{}`", query.who.escape_debug());
                return Err(ControlError::not_found(error, ""));
            }
            let id = "mzxw6ytboi5hk3tpojsxg5dbnq";
            let url = |path: &str| Some(format!("https://dns.home.example/{path}/{id}"));
            Ok(Invitation {
                device: query.who,
                id: id.into(),
                tls_name: Some(format!("{id}.dns.home.example")),
                quic_name: None,
                https_url: url("dns-query"),
                page: url("invite"),
                mobileconfig: Some(format!("<plist locked=\"{}\"/>\n", query.locked)),
                mobileconfig_signed: None,
                authority_sha256: Some(vec!["AB"; 32].join(":")),
                notes: vec!["somebody should know this".into()],
            })
        })
    }

    fn change_device(
        &self,
        request: DeviceRequest,
    ) -> Boxed<'_, Result<DeviceChange, ControlError>> {
        self.changes.lock().unwrap().push(request.clone());
        Box::pin(async move {
            let (device, done) = match request {
                DeviceRequest::Name { who, .. } if who == "nobody" => {
                    return Err(ControlError::not_found("nobody is known as `nobody`", ""));
                }
                DeviceRequest::Name { name, .. } => (name, "added"),
                DeviceRequest::Assign { who, .. } => (who, "changed"),
                DeviceRequest::Invite { who } => (who, "changed"),
                DeviceRequest::Revoke { who } => (who, "revoked"),
                DeviceRequest::Forget { who } => (who, "forgotten"),
            };
            let is_there = done != "forgotten";
            Ok(DeviceChange {
                device,
                done: done.into(),
                profile: is_there.then(|| "guest".into()),
                known_by: is_there
                    .then(|| "02:00:5e:10:00:09".into())
                    .into_iter()
                    .collect(),
                file: Some("/var/lib/hedgerow/devices.toml".into()),
                notes: vec!["somebody should know this".into()],
            })
        })
    }

    fn profiles(&self) -> Vec<Profile> {
        vec![Profile {
            name: "mia".into(),
            preset: "schoolchild".into(),
            inherits: vec!["schoolchild".into()],
            devices: vec!["tablet".into()],
            block_categories: vec!["adult".into(), "gambling".into()],
            block: vec!["video.example.net".into()],
            safe_search: true,
            youtube: "strict".into(),
            close_bypass: true,
            block_rebinding: true,
            block_answer: "null".into(),
            block_ttl: 10,
            when_unsure: "block".into(),
            privacy: "names".into(),
            resolvers: "household".into(),
            ..Profile::default()
        }]
    }

    fn lists(&self) -> Vec<List> {
        vec![
            List {
                id: "starter-gambling".into(),
                category: "gambling".into(),
                kind: "block".into(),
                tier: "child-safety".into(),
                origin: "embedded".into(),
                format: Some("domains".into()),
                entries: 1_234_567,
                bad_lines: 1,
                first_errors: vec![BadLine {
                    line: 7,
                    error: "the name is empty".into(),
                }],
                ..List::default()
            },
            List {
                id: "school".into(),
                category: "school".into(),
                kind: "allow".into(),
                tier: "household".into(),
                origin: "/etc/hedgerow/school.txt".into(),
                failure: Some("no such file".into()),
                ..List::default()
            },
            List {
                id: "malware".into(),
                title: Some("Malware of the day".into()),
                category: "malware".into(),
                kind: "block".into(),
                tier: "security".into(),
                origin: "https://lists.example/malware.txt".into(),
                format: Some("hosts".into()),
                entries: 5_000,
                bad_lines: 21,
                flagged_lines: 1,
                first_flags: vec![BadLine {
                    line: 9,
                    error: "`github.io` is a public suffix".into(),
                }],
                stale: Some("1 entry after 5000".into()),
                updates: Some(ListUpdates {
                    url: "https://lists.example/malware.txt".into(),
                    every_s: 86_400,
                    signed: true,
                    bytes: 123_456,
                    fetched: Some("2026-11-20T12:00:00Z".into()),
                    age_s: Some(176_400),
                    checked: Some("2026-11-22T11:00:00Z".into()),
                    next_s: Some(3_600),
                    error: Some("1 entry after 5000".into()),
                    failures: 2,
                    protected: 1,
                }),
                ..List::default()
            },
            List {
                id: "helplines".into(),
                category: "lifeline".into(),
                kind: "lifeline".into(),
                tier: "lifeline".into(),
                origin: "embedded".into(),
                entries: 42,
                ..List::default()
            },
        ]
    }

    fn search_lists(&self, name: NameBuf) -> Boxed<'_, Result<ListSearch, ControlError>> {
        let name = name.to_string();
        let found = name.ends_with("casino.example.org").then(|| ListMatch {
            list: Some("starter-gambling".into()),
            category: "gambling".into(),
            kind: "block".into(),
            tier: "child-safety".into(),
            effect: VoiceEffect::Block,
            rule: Some("||casino.example.org^".into()),
            file: Some("/etc/hedgerow/lists/gambling.txt".into()),
            line: Some(12),
            profiles: vec!["guest".into(), "mia".into()],
            ..ListMatch::default()
        });
        let sealed = name.contains("sealed").then(|| ListMatch {
            category: "sealed".into(),
            kind: "sealed".into(),
            tier: "sealed".into(),
            effect: VoiceEffect::Block,
            everybody: true,
            ..ListMatch::default()
        });
        let search = ListSearch {
            found: found.into_iter().chain(sealed).collect(),
            notes: vec!["list `school` could not be read: no such file".into()],
            name,
        };
        Box::pin(std::future::ready(Ok(search)))
    }

    fn update_lists(
        &self,
        request: ListUpdateRequest,
    ) -> Boxed<'_, Result<ListUpdateReport, ControlError>> {
        self.updates.lock().unwrap().push(request.clone());
        Box::pin(async move {
            if let Some(id) = request.ids.iter().find(|id| *id != "malware") {
                return Err(ControlError::not_found(
                    format!("there is no list `{}` with an address", id.escape_debug()),
                    "known lists: malware",
                ));
            }
            Ok(ListUpdateReport {
                lists: vec![
                    ListUpdated {
                        id: "malware".into(),
                        outcome: "updated".into(),
                        entries: Some(5_010),
                        before: Some(5_000),
                        downloaded: 2_048,
                        by_delta: true,
                        bad_lines: 21,
                        next_s: 86_400,
                        ..ListUpdated::default()
                    },
                    ListUpdated {
                        id: "ads".into(),
                        outcome: "unchanged".into(),
                        next_s: 86_400,
                        ..ListUpdated::default()
                    },
                    ListUpdated {
                        id: "adult".into(),
                        outcome: "failed".into(),
                        error: Some("lists.example: connection refused".into()),
                        failures: 3,
                        next_s: 7_200,
                        ..ListUpdated::default()
                    },
                ],
                compiled: true,
                failure: None,
                names: 1_239_577,
                bytes: 8_100_000,
                took_ms: 1_234,
            })
        })
    }

    fn log(&self, after: Option<u64>, limit: usize, filter: &LogFilter) -> LogPage {
        self.journal.log(after, limit, filter)
    }

    fn top(&self, limit: usize) -> Top {
        self.journal.top(limit)
    }

    fn flush_cache(&self) -> Flushed {
        Flushed { entries: 100 }
    }

    fn reload(&self) -> Boxed<'_, ReloadReport> {
        Box::pin(async {
            tokio::task::yield_now().await;
            assert!(
                !self.reload_panics.load(Ordering::Relaxed),
                "a reload that breaks off"
            );
            self.reloads.fetch_add(1, Ordering::Relaxed);
            let ok = self.reload_works.load(Ordering::Relaxed);
            ReloadReport {
                at: "2026-11-22T13:00:00Z".into(),
                ok,
                config_generation: if ok { 3 } else { 2 },
                took_ms: 5,
                errors: if ok {
                    vec![]
                } else {
                    vec!["error: unknown category `gamblng`\n  --> x.toml:1:1".into()]
                },
                warnings: vec![],
                changes: if ok {
                    vec!["profile `mia`: blocks `games`".into()]
                } else {
                    vec![]
                },
            }
        })
    }

    fn not_ready(&self) -> Vec<String> {
        if self.ready.load(Ordering::Relaxed) {
            vec![]
        } else {
            vec!["the lists are not loaded yet".into()]
        }
    }
}

/// A household behind a socket in a folder of its own.
pub(crate) struct FakeServer {
    pub(crate) household: Arc<FakeHousehold>,
    pub(crate) socket: std::path::PathBuf,
    pub(crate) stop: Arc<tokio::sync::Notify>,
    pub(crate) serving: tokio::task::JoinHandle<()>,
    _folder: tempfile::TempDir,
}

impl FakeServer {
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control.sock");
        let socket = super::socket::ControlSocket::bind(&path, None).unwrap();
        let household = FakeHousehold::new();
        let stop = Arc::new(tokio::sync::Notify::new());
        let stopping = Arc::clone(&stop);
        let serving = tokio::spawn(super::server::serve(
            socket,
            Arc::clone(&household) as Arc<dyn Household>,
            async move { stopping.notified().await },
        ));
        Self {
            household,
            socket: path,
            stop,
            serving,
            _folder: folder,
        }
    }

    pub(crate) fn client(&self) -> super::client::Client {
        super::client::Client::new(&self.socket)
    }
}
