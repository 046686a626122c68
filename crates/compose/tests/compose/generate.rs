//! Projects, made up.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

use compose::*;
use proptest::collection::{btree_map, btree_set, vec};
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::render;

/// The text of a file that says `project`.
pub(crate) fn text(project: &Project) -> String {
    let mut value = render::project(project);
    render::without_null(&mut value);
    // JSON is YAML, and `$$` a mere `$`.
    value.to_string().replace('$', "$$")
}

/// A project whose every name is defined.
pub(crate) fn project() -> impl Strategy<Value = Project> {
    let services = (service("a"), service("b"), service("c"));
    let networks = (network("front"), network("back"), network("default"));
    let volumes = (volume("data"), volume("logs"));
    let named = |(name, value)| (String::from(name), value);
    (services, networks, volumes, path(), path()).prop_map(move |(services, networks, volumes, one, two)| {
        let (a, b, c) = services;
        let mut services: BTreeMap<_, _> = [("a", a), ("b", b), ("c", c)].map(named).into();
        let ports = services.values_mut().flat_map(|service| &mut service.ports);
        for (port, number) in ports.zip(1000..) {
            port.published = port.published.map(|_| number);
        }
        services.get_mut("a").expect("made above").depends_on.clear();
        services
            .get_mut("b")
            .expect("made above")
            .depends_on
            .retain(|name, _| name == "a");
        let used = |name: &str| {
            services
                .values()
                .any(|service| service.networks.contains_key(name))
        };
        let networks = [
            ("front", networks.0),
            ("back", networks.1),
            ("default", networks.2),
        ];
        let networks = networks
            .into_iter()
            .filter(|(name, _)| used(name))
            .map(|(name, value)| (name.into(), value))
            .collect();
        let mounted = |name: &str| {
            services
                .values()
                .flat_map(|service| &service.mounts)
                .any(|mount| matches!(&mount.kind, MountKind::Volume { name: volume } if volume == name))
        };
        let volumes = [("data", volumes.0), ("logs", volumes.1)];
        let volumes = volumes
            .into_iter()
            .filter(|(name, _)| mounted(name))
            .map(|(name, value)| (name.into(), value))
            .collect();
        let secrets = [
            ("password", Secret { file: one }),
            ("token", Secret { file: two }),
        ];
        let opened = |name: &str| {
            services
                .values()
                .flat_map(|service| &service.secrets)
                .any(|secret| secret.name == name)
        };
        let secrets = secrets
            .into_iter()
            .filter(|(name, _)| opened(name))
            .map(|(name, value)| (name.into(), value))
            .collect();
        let (file, folder) = (PathBuf::new(), PathBuf::new());
        Project {
            name: "made-up".into(),
            file,
            folder,
            services,
            networks,
            volumes,
            secrets,
        }
    })
}

/// Text with everything in it that could be taken for something else.
fn words() -> BoxedStrategy<String> {
    let odd = select(vec![
        "yes",
        "no",
        "null",
        "~",
        "010",
        "1e3",
        "2026-01-31",
        "22:30",
        "$HOME",
        "${A:-b}",
        "<<",
        "- a",
        "a: b",
        "# a",
        "{",
        "*a",
        "&a",
        "!a",
        "%",
        "'",
        "\"",
        "\\n",
        " a ",
        "a\nb\n",
        "\t",
    ]);
    prop_oneof![odd.prop_map(str::to_owned), "[ -~äß😀\n\t]{1,12}".boxed()].boxed()
}

fn name() -> BoxedStrategy<String> {
    "[a-z][a-z0-9]{0,8}".boxed()
}

fn path() -> BoxedStrategy<PathBuf> {
    "(/[a-z]{1,5}){1,3}".prop_map(PathBuf::from).boxed()
}

fn pairs() -> BoxedStrategy<BTreeMap<String, String>> {
    btree_map(
        "[A-Za-w_.-]{1,8}",
        prop_oneof![words(), Just(String::new())],
        0..3,
    )
    .boxed()
}

/// Different texts. What stands before a `=` is a name to docker compose, even here.
fn set() -> BoxedStrategy<Vec<String>> {
    let words = words().prop_map(|word| word.replace('=', "-"));
    btree_set(words, 0..3)
        .prop_map(|set| set.into_iter().collect())
        .boxed()
}

fn bytes() -> BoxedStrategy<u64> {
    (1_u64..1 << 50).boxed()
}

fn duration() -> BoxedStrategy<Duration> {
    prop_oneof![
        (0_u64..200_000).prop_map(Duration::from_secs),
        (1_u64..1_000_000).prop_map(Duration::from_millis),
    ]
    .boxed()
}

fn identity(name: &'static str) -> BoxedStrategy<(String, bool)> {
    prop_oneof![
        Just((format!("made-up_{name}"), false)),
        "[a-z]{3,8}".prop_map(|name| (name, false)),
        "[a-z]{3,8}".prop_map(|name| (name, true)),
    ]
    .boxed()
}

fn network(name: &'static str) -> BoxedStrategy<Network> {
    let gateway = of(1_u8..255).prop_map(|last| last.map(|last| IpAddr::V4(Ipv4Addr::new(10, 1, 2, last))));
    let subnets = vec(
        gateway.prop_map(|gateway| Subnet {
            subnet: "10.1.2.0/24".into(),
            gateway,
        }),
        0..2,
    );
    (
        identity(name),
        of(self::name()),
        pairs(),
        any::<bool>(),
        subnets,
        pairs(),
    )
        .prop_map(
            |((name, external), driver, driver_opts, internal, subnets, labels)| {
                if external {
                    return Network {
                        name,
                        external,
                        ..Network::default()
                    };
                }
                Network {
                    name,
                    external,
                    driver,
                    driver_opts,
                    internal,
                    subnets,
                    labels,
                }
            },
        )
        .boxed()
}

fn volume(name: &'static str) -> BoxedStrategy<Volume> {
    (identity(name), of(self::name()), pairs(), pairs())
        .prop_map(|((name, external), driver, driver_opts, labels)| {
            if external {
                return Volume {
                    name,
                    external,
                    ..Volume::default()
                };
            }
            Volume {
                name,
                external,
                driver,
                driver_opts,
                labels,
            }
        })
        .boxed()
}

fn service(name: &'static str) -> BoxedStrategy<Service> {
    (process(), surroundings(), life(), limits())
        .prop_map(move |(process, surroundings, life, limits)| Service {
            name: name.into(),
            profiles: process.profiles,
            image: process.image,
            build: process.build,
            pull_policy: process.pull_policy,
            command: process.command,
            entrypoint: process.entrypoint,
            environment: process.environment,
            user: process.user,
            working_dir: process.working_dir,
            read_only: process.read_only,
            init: process.init,
            hostname: surroundings.hostname,
            network_mode: surroundings.network_mode,
            networks: surroundings.networks,
            extra_hosts: surroundings.extra_hosts,
            ports: surroundings.ports,
            expose: surroundings.expose,
            mounts: surroundings.mounts,
            tmpfs: surroundings.tmpfs,
            secrets: surroundings.secrets,
            healthcheck: life.healthcheck,
            depends_on: life.depends_on,
            restart: life.restart,
            stop_grace_period: life.stop_grace_period,
            stop_signal: life.stop_signal,
            logging: life.logging,
            ..limits
        })
        .boxed()
}

fn process() -> BoxedStrategy<Service> {
    let policy = select(vec![
        PullPolicy::Always,
        PullPolicy::Missing,
        PullPolicy::Never,
        PullPolicy::Build,
    ]);
    let build = (path(), "[a-zA-Z.]{1,8}", pairs(), of(name()), of(name()), pairs()).prop_map(
        |(context, dockerfile, args, target, network, labels)| Build {
            context,
            dockerfile: dockerfile.into(),
            args,
            target,
            network,
            labels,
        },
    );
    let sources = (
        "[a-z]{1,5}(/[a-z]{1,5})?(:[0-9.]{1,3})?",
        of(build),
        of(policy),
        btree_set(name(), 0..3),
    );
    let command = || of(vec(prop_oneof![words(), Just(String::new())], 0..3));
    let rest = (
        command(),
        command(),
        pairs(),
        of(words()),
        of(words()),
        any::<bool>(),
        of(any::<bool>()),
    );
    (sources, rest)
        .prop_map(|((image, build, pull_policy, profiles), rest)| {
            let (command, entrypoint, environment, user, working_dir, read_only, init) = rest;
            Service {
                image: Some(image),
                build,
                pull_policy,
                profiles,
                command,
                entrypoint,
                environment,
                user,
                working_dir,
                read_only,
                init,
                ..Service::default()
            }
        })
        .boxed()
}

fn surroundings() -> BoxedStrategy<Service> {
    let mode = select(vec![NetworkMode::Bridge, NetworkMode::Host, NetworkMode::None]);
    let networks = btree_map(
        select(vec!["front".to_owned(), "back".to_owned(), "default".to_owned()]),
        set(),
        1..3,
    );
    let port = (
        of(any::<Ipv4Addr>().prop_map(IpAddr::V4)),
        of(Just(1)),
        1_u16..,
        select(vec![Protocol::Tcp, Protocol::Udp]),
    )
        .prop_map(|(host_ip, published, target, protocol)| Port {
            host_ip,
            published,
            target,
            protocol,
        });
    let host = (
        name(),
        prop_oneof![
            any::<IpAddr>().prop_map(|address| address.to_string()),
            Just("host-gateway".into())
        ],
    );
    let hosts = btree_map(host.0, host.1, 0..3).prop_map(|hosts| hosts.into_iter().collect());
    let expose = btree_set("[1-9][0-9]{0,3}/(tcp|udp)", 0..3);
    (
        of(words()),
        of(mode),
        networks,
        hosts,
        vec(port, 0..3),
        expose,
        mounts(),
    )
        .prop_map(
            |(hostname, network_mode, networks, extra_hosts, ports, expose, mounts)| {
                let alone = matches!(network_mode, Some(NetworkMode::Host | NetworkMode::None));
                Service {
                    hostname,
                    networks: if network_mode.is_none() {
                        networks
                    } else {
                        BTreeMap::new()
                    },
                    network_mode,
                    extra_hosts,
                    ports: if alone { Vec::new() } else { ports },
                    expose,
                    ..mounts
                }
            },
        )
        .boxed()
}

fn mounts() -> BoxedStrategy<Service> {
    let propagation = of(select(vec!["rslave", "shared", "rprivate"]).prop_map(str::to_owned));
    let kind = prop_oneof![
        (path(), any::<bool>(), propagation).prop_map(|(source, create_host_path, propagation)| {
            MountKind::Bind {
                source,
                create_host_path,
                propagation,
            }
        }),
        select(vec!["data", "logs"]).prop_map(|name| MountKind::Volume { name: name.into() }),
        (of(bytes()), of(1..0o7777_u32)).prop_map(|(size, mode)| MountKind::Tmpfs { size, mode }),
    ];
    let mounts = vec((kind, any::<bool>()), 0..4).prop_map(|mounts| {
        let mount = |(index, (kind, read_only))| Mount {
            kind,
            target: format!("/mounted/{index}"),
            read_only,
        };
        mounts.into_iter().enumerate().map(mount).collect()
    });
    let secrets = subsequence(vec!["password", "token"], 0..=2).prop_map(|names| {
        let secret = |name| SecretMount {
            name: String::from(name),
            target: format!("/run/secrets/{name}"),
        };
        names.into_iter().map(secret).collect()
    });
    let tmpfs = subsequence(
        vec!["/tmp".to_owned(), "/run:size=1m,mode=1777".to_owned()],
        0..=2,
    );
    (mounts, secrets, tmpfs)
        .prop_map(|(mounts, secrets, tmpfs)| Service {
            mounts,
            secrets,
            tmpfs,
            ..Service::default()
        })
        .boxed()
}

fn life() -> BoxedStrategy<Service> {
    let test = prop_oneof![
        Just(Vec::new()),
        Just(vec!["NONE".to_owned()]),
        words().prop_map(|line| vec!["CMD-SHELL".to_owned(), line]),
        vec(words(), 1..3).prop_map(|words| [vec!["CMD".to_owned()], words].concat()),
    ];
    let check = (
        test,
        of(duration()),
        of(duration()),
        of(duration()),
        of(0_u32..100),
    )
        .prop_map(|(test, interval, timeout, start_period, retries)| Healthcheck {
            test,
            interval,
            timeout,
            start_period,
            retries,
        });
    let condition = select(vec![Condition::Started, Condition::Healthy, Condition::Completed]);
    let dependency =
        (condition, any::<bool>(), any::<bool>()).prop_map(|(condition, required, restart)| Dependency {
            condition,
            required,
            restart,
        });
    let depends_on = btree_map(select(vec!["a".to_owned(), "b".to_owned()]), dependency, 0..3);
    let restart = prop_oneof![
        Just(RestartPolicy::No),
        Just(RestartPolicy::Always),
        Just(RestartPolicy::UnlessStopped),
        of(0_u32..10).prop_map(|retries| RestartPolicy::OnFailure { retries }),
    ];
    let logging = (of(name()), pairs()).prop_map(|(driver, options)| Logging { driver, options });
    (
        of(check),
        depends_on,
        restart,
        of(duration()),
        of(name()),
        of(logging),
    )
        .prop_map(
            |(healthcheck, depends_on, restart, stop_grace_period, stop_signal, logging)| Service {
                healthcheck,
                depends_on,
                restart,
                stop_grace_period,
                stop_signal,
                logging,
                ..Service::default()
            },
        )
        .boxed()
}

fn devices() -> BoxedStrategy<(Vec<Device>, Vec<String>)> {
    let device = (
        "/dev/[a-z]{1,5}",
        "/dev/[a-z]{1,5}",
        select(vec!["r", "rw", "rwm"]),
    )
        .prop_map(|(host, container, permissions)| Device {
            host,
            container,
            permissions: permissions.into(),
        });
    let devices = vec(device, 0..3).prop_map(|mut devices| {
        devices.sort_by(|one, other| one.container.cmp(&other.container));
        devices.dedup_by(|one, other| one.container == other.container);
        devices
    });
    let rules = vec("[abc] ([0-9]{1,3}|[*]):([0-9]{1,3}|[*]) (r|rw|rwm)", 0..3);
    (devices, rules).boxed()
}

fn limits() -> BoxedStrategy<Service> {
    let which = prop_oneof![
        Just((Some(-1), Vec::new())),
        (1_i64..9).prop_map(|count| (Some(count), Vec::new())),
        btree_set("[0-9]", 1..3).prop_map(|ids: BTreeSet<String>| (None, ids.into_iter().collect())),
    ];
    let request = (of(name()), which, btree_set(name(), 1..3), pairs()).prop_map(
        |(driver, (count, device_ids), capabilities, options)| DeviceRequest {
            driver,
            count,
            device_ids,
            capabilities: capabilities.into_iter().collect(),
            options,
        },
    );
    let ulimits = btree_map(
        "[a-z]{1,8}",
        (-1_i64..9999, -1_i64..9999).prop_map(|(soft, hard)| Ulimit { soft, hard }),
        0..3,
    );
    let memory = (
        of(bytes()),
        of(bytes()),
        of(prop_oneof![Just(-1), 1_i64..1 << 50]),
        of(bytes()),
    );
    let counts = (
        of((1_u32..400).prop_map(|quarters| f64::from(quarters) / 4.0)),
        of(prop_oneof![Just(-1_i64), 1_i64..9999]),
        of(prop_oneof![-1000_i64..0, 1_i64..=1000]),
    );
    let rights = (set(), set(), set(), any::<bool>(), set(), pairs(), pairs());
    let host = || of(Just("host".to_owned()));
    (
        devices(),
        vec(request, 0..3),
        ulimits,
        memory,
        counts,
        rights,
        (host(), host(), host(), host(), of(name())),
    )
        .prop_map(
            |(
                (devices, device_cgroup_rules),
                device_requests,
                ulimits,
                memory,
                counts,
                rights,
                namespaces,
            )| {
                let (mem_limit, mem_reservation, memswap_limit, shm_size) = memory;
                let (cpus, pids_limit, oom_score_adj) = counts;
                let (cap_add, cap_drop, security_opt, privileged, group_add, sysctls, labels) = rights;
                let reserved = !device_requests.is_empty();
                let (pid, uts, userns_mode, cgroup, runtime) = namespaces;
                Service {
                    devices,
                    device_cgroup_rules,
                    device_requests,
                    ulimits,
                    mem_limit,
                    mem_reservation: mem_reservation.filter(|_| !reserved),
                    memswap_limit,
                    shm_size,
                    cpus,
                    pids_limit,
                    oom_score_adj,
                    cap_add,
                    cap_drop,
                    security_opt,
                    privileged,
                    group_add,
                    sysctls,
                    labels,
                    pid,
                    uts,
                    userns_mode,
                    cgroup,
                    runtime,
                    ..Service::default()
                }
            },
        )
        .boxed()
}
