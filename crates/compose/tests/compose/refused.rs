//! Broken files, and every word of what is said about them.

use super::files;

/// What a file is about, its text, and the problems in it.
type Case = (&'static str, &'static str, &'static [&'static str]);

#[test]
fn every_problem_is_named_in_one_go() {
    for (name, text, expected) in CASES {
        let problems = files::problems(text.as_bytes());
        assert_eq!(problems, *expected, "{name}");
    }
}

const CASES: &[Case] = &[
    (
        "empty",
        "",
        &["is empty: a compose file has at least `name` and `services`"],
    ),
    (
        "comment only",
        r"# nothing
",
        &["is empty: a compose file has at least `name` and `services`"],
    ),
    (
        "scalar document",
        r"just text
",
        &["1: must be a map, but is `just text`"],
    ),
    (
        "list document",
        r"- a
- b
",
        &["1: must be a map, but is a list"],
    ),
    (
        "tab indent",
        "name: x\nservices:\n\ta:\n\t\timage: a\n",
        &["3: is no YAML: tabs disallowed within this context (block indentation)"],
    ),
    (
        "unclosed quote",
        r#"name: "x
services: {}
"#,
        &["1: is no YAML: invalid indentation in quoted scalar"],
    ),
    (
        "unclosed flow",
        r"name: x
services: {a: {image: a}
",
        &["3: is no YAML: while parsing a flow mapping, did not find expected ',' or '}'"],
    ),
    (
        "bad indent",
        r"name: x
services:
  a:
    image: a
   user: b
",
        &["5: is no YAML: while parsing a block mapping, did not find expected key"],
    ),
    (
        "duplicate key",
        r"name: x
services:
  a:
    image: a
    user: a
    user: b
",
        &["6: services.a.user: stands here a second time, after line 5"],
    ),
    (
        "duplicate service",
        r"name: x
services:
  a:
    image: a
  a:
    image: b
",
        &["5: services.a: stands here a second time, after line 3"],
    ),
    (
        "no name",
        r"services: {a: {image: a}}
",
        &["1: has no `name`, which every container, network and volume is named after"],
    ),
    (
        "bad name",
        r"name: My Stack
services: {a: {image: a}}
",
        &[
            "1: name: the project's name must be lower-case letters, digits, `-` and `_`, and begin with a letter or digit, but is `My Stack`",
        ],
    ),
    (
        "no services",
        r"name: x
services: {}
",
        &["1: has no services"],
    ),
    (
        "null service",
        r"name: x
services:
  a:
",
        &["3: services.a: must be a map, but is empty"],
    ),
    (
        "typo top",
        r"name: x
service:
  a: {image: a}
",
        &[
            "1: has no services",
            "2: service: unknown key; did you mean services?",
        ],
    ),
    (
        "typo service key",
        r"name: x
services:
  a:
    image: a
    healthchek: {test: [CMD, a]}
",
        &["5: services.a.healthchek: unknown key; did you mean healthcheck?"],
    ),
    (
        "typo nested",
        r"name: x
services:
  a:
    image: a
    healthcheck:
      test: [CMD, a]
      intervall: 3s
    deploy:
      resources:
        reservation: {}
        limits: {memory: 1g}
",
        &[
            "7: services.a.healthcheck.intervall: unknown key; did you mean interval?",
            "10: services.a.deploy.resources.reservation: unknown key; did you mean reservations?",
            "11: services.a.deploy.resources.limits: not supported by missionctl; docker compose knows it; write cpus, mem_limit and pids_limit in the service",
        ],
    ),
    (
        "unsupported",
        r"version: '3'
include: [a]
name: x
services:
  a:
    image: a
    container_name: b
    env_file: .env
    extends: {service: b}
    deploy: {replicas: 2}
    gpus: all
    links: [b]
    nonsense: 1
configs: {}
",
        &[
            "1: version: not supported by missionctl; docker compose knows it; it is obsolete: leave it out",
            "2: include: not supported by missionctl; docker compose knows it",
            "7: services.a.container_name: not supported by missionctl; docker compose knows it; a container is named after its project and service",
            "8: services.a.env_file: not supported by missionctl; docker compose knows it; write the variables under environment",
            "9: services.a.extends: not supported by missionctl; docker compose knows it; use an anchor and a merge key",
            "10: services.a.deploy.replicas: not supported by missionctl; docker compose knows it",
            "11: services.a.gpus: not supported by missionctl; docker compose knows it; write deploy.resources.reservations.devices",
            "12: services.a.links: not supported by missionctl; docker compose knows it; services of one network reach each other by their names",
            "13: services.a.nonsense: unknown key",
            "14: configs: not supported by missionctl; docker compose knows it",
        ],
    ),
    (
        "wrong types",
        r"name: x
services:
  a:
    image: a
    user: 1000
    privileged: maybe
    ports: 80
    cap_add: NET_RAW
    command: {a: b}
    mem_limit: lots
    cpus: -1
    stop_grace_period: 10
    ulimits: {nofile: many}
    healthcheck: [CMD]
    restart: sometimes
    networks: a
    depends_on: b
    volumes: {a: b}
    read_only: 3
    oom_score_adj: 2000
    pids_limit: 1.5
    init: []
    hostname:
    labels: text
    environment: 5
",
        &[
            "5: services.a.user: must be text, but is the number 1000: quote it",
            "6: services.a.privileged: must be true or false, but is `maybe`",
            "7: services.a.ports: must be a list, but is the number 80",
            "8: services.a.cap_add: must be a list, but is `NET_RAW`",
            "9: services.a.command: must be a list, but is a map",
            "10: services.a.mem_limit: must be a size in bytes, such as 512m or 1.5gb, but is `lots`",
            "11: services.a.cpus: must be a number above 0, but is the number -1",
            "12: services.a.stop_grace_period: must be a duration with units, such as 30s or 1m30s, but is the number 10",
            "13: services.a.ulimits.nofile: must be a whole number, but is `many`",
            "14: services.a.healthcheck: must be a map, but is a list",
            "15: services.a.restart: must be no, always, unless-stopped, on-failure or on-failure:NUMBER, but is `sometimes`",
            "16: services.a.networks: must be a map, but is `a`",
            "17: services.a.depends_on: must be a map, but is `b`",
            "18: services.a.volumes: must be a list, but is a map",
            "19: services.a.read_only: must be true or false, but is the number 3",
            "20: services.a.oom_score_adj: must be -1000 to 1000, but is 2000",
            "21: services.a.pids_limit: must be a whole number, but is the number 1.5",
            "22: services.a.init: must be true or false, but is a list",
            "23: services.a.hostname: must be text, but is empty",
            "24: services.a.labels: must be a map, but is `text`",
            "25: services.a.environment: must be a map, but is the number 5",
        ],
    ),
    (
        "environment values",
        r"name: x
services:
  a:
    image: a
    environment:
      OCTAL: 010
      EXPONENT: 1e3
      FRACTION: 1.10
      LARGE: 12345678.5
      TRUTH: True
      DATE: 2026-01-31
      LIST: [a]
      UNDERSCORE: 1_000
      INFINITY: .inf
      8080: x
      GOOD: 8080
",
        &[
            "6: services.a.environment.OCTAL: docker compose would write the number 010 in another way: quote it",
            "7: services.a.environment.EXPONENT: docker compose would write the number 1e3 in another way: quote it",
            "8: services.a.environment.FRACTION: docker compose would write the number 1.10 in another way: quote it",
            "9: services.a.environment.LARGE: docker compose would write the number 12345678.5 in another way: quote it",
            "10: services.a.environment.TRUTH: docker compose would write the boolean True in another way: quote it",
            "11: services.a.environment.DATE: docker compose would write the date 2026-01-31 in another way: quote it",
            "12: services.a.environment.LIST: must be text, but is a list",
            "13: services.a.environment.UNDERSCORE: docker compose would write the number 1_000 in another way: quote it",
            "14: services.a.environment.INFINITY: docker compose would write the number .inf in another way: quote it",
            "15: services.a.environment: the key 8080 is not text: quote it",
        ],
    ),
    (
        "ports",
        r#"name: x
services:
  a:
    image: a
    ports:
      - "0:80"
      - "80:0"
      - "65536:80"
      - "a:b"
      - "300.0.0.1:80:80"
      - "8000-8010:80"
      - "90-80:90-80"
      - "80/sctp"
      - "1:2:3:4"
      - "::1:81:81"
      - {published: 80}
      - {target: 80, mode: host}
      - {target: 80, host_ip: localhost}
      - [80]
      - ""
      - 80.5
    expose: [0, "a", "80/x"]
"#,
        &[
            "6: services.a.ports[0]: `0` is no port: write 1 to 65535, or a range such as 3000-3005",
            "7: services.a.ports[1]: `0` is no port: write 1 to 65535, or a range such as 3000-3005",
            "8: services.a.ports[2]: `65536` is no port: write 1 to 65535, or a range such as 3000-3005",
            "9: services.a.ports[3]: `b` is no port: write 1 to 65535, or a range such as 3000-3005",
            "10: services.a.ports[4]: `300.0.0.1` is no address of this machine",
            "11: services.a.ports[5]: `8000-8010:80` has 11 published ports for 1 of the container",
            "12: services.a.ports[6]: `90-80` is no port: write 1 to 65535, or a range such as 3000-3005",
            "13: services.a.ports[7]: the protocol of `80/sctp` must be tcp or udp",
            "14: services.a.ports[8]: `1:2` is no address of this machine",
            "16: services.a.ports[10]: has no `target`",
            "17: services.a.ports[11].mode: must be ingress, but is `host`",
            "18: services.a.ports[12].host_ip: `localhost` is no address of this machine",
            r#"19: services.a.ports[13]: must be a port, such as "8080:80", or a map, but is a list"#,
            "20: services.a.ports[14]: is empty",
            r#"21: services.a.ports[15]: must be a port, such as "8080:80", or a map, but is the number 80.5"#,
            "22: services.a.expose[0]: `0` is no port: write 1 to 65535, or a range such as 3000-3005",
            "22: services.a.expose[1]: `a` is no port: write 1 to 65535, or a range such as 3000-3005",
            "22: services.a.expose[2]: the protocol of `80/x` must be tcp or udp",
        ],
    ),
    (
        "port collision",
        r#"name: x
services:
  a:
    image: a
    ports: ["8080:80", "127.0.0.1:9090:90"]
  b:
    image: b
    ports: ["0.0.0.0:8080:81", "127.0.0.2:9090:90", "8080:80/udp"]
  c:
    image: c
    ports: ["127.0.0.1:9090:1"]
"#,
        &[
            "8: services.b.ports[0]: port 8080 is published already, on line 5 (services.a.ports[0])",
            "11: services.c.ports[0]: port 9090 is published already, on line 5 (services.a.ports[1])",
        ],
    ),
    (
        "mounts",
        r#"name: x
services:
  a:
    image: a
    volumes:
      - /data
      - data
      - data:/data
      - ./a:relative
      - ./a:/data:rw,zz
      - ./a:/b:z
      - a:b:c:d
      - {type: bind, target: /c}
      - {type: npipe, source: a, target: /d}
      - {source: a, target: /e}
      - {type: volume, target: /f}
      - {type: bind, source: ~, target: /g}
      - {type: bind, source: ~else/x, target: /h}
      - {type: bind, source: ./x, target: /i, bind: {selinux: z, propagation: odd}}
      - {type: volume, source: data, target: /j, volume: {nocopy: true}}
      - {type: tmpfs, target: /k, tmpfs: {size: -1, mode: rwx}}
      - {type: tmpfs, source: x, target: /l}
      - {type: bind, source: ./a}
    tmpfs: [run, "/k:size=1m"]
volumes: {data: }
"#,
        &[
            "6: services.a.volumes[0]: must be source:target or source:target:options, but is `/data`",
            "7: services.a.volumes[1]: must be source:target or source:target:options, but is `data`",
            "9: services.a.volumes[3]: `relative` must be an absolute path in the container",
            "10: services.a.volumes[4]: `zz` is no option of a mount: write ro, rw or a propagation such as rslave",
            "10: services.a.volumes[4]: something else is mounted on /data already",
            "11: services.a.volumes[5]: `z`: not supported by missionctl; docker compose knows it",
            "12: services.a.volumes[6]: must be source:target or source:target:options, but is `a:b:c:d`",
            "13: services.a.volumes[7]: has no `source`",
            "14: services.a.volumes[8]: `type` must be bind, volume or tmpfs, but is `npipe`",
            "15: services.a.volumes[9]: has no `type`: bind, volume or tmpfs",
            "16: services.a.volumes[10]: has no `source`: a volume without a name is lost with its container",
            "17: services.a.volumes[11].source: must be text, but is empty",
            "18: services.a.volumes[12].source: `~else/x` is in the home of another user: write the whole path",
            "19: services.a.volumes[13].bind.propagation: must be private or rprivate or rshared or rslave or shared or slave, but is `odd`",
            "19: services.a.volumes[13].bind.selinux: not supported by missionctl; docker compose knows it",
            "20: services.a.volumes[14].volume.nocopy: not supported by missionctl; docker compose knows it",
            "21: services.a.volumes[15].tmpfs.mode: must be a number such as 0o1777, but is `rwx`",
            "21: services.a.volumes[15].tmpfs.size: must be a size in bytes, such as 512m or 1.5gb, but is the number -1",
            "22: services.a.volumes[16].source: memory has no source",
            "23: services.a.volumes[17]: has no `target`",
            "24: services.a.tmpfs: `run` must be an absolute path in the container",
            "24: services.a.tmpfs: something else is mounted on /k already",
        ],
    ),
    (
        "references",
        r#"name: x
services:
  a:
    image: a
    networks: [frnt]
    volumes: ["dta:/data"]
    secrets: [pasword, {source: other}]
    depends_on: {b: {condition: service_started}}
networks: {front: }
volumes: {data: }
secrets: {password: {file: p}}
"#,
        &[
            "5: services.a.networks: there is no network `frnt` in this file; did you mean front?",
            "6: services.a.volumes[0]: there is no volume `dta` in this file; did you mean data?",
            "7: services.a.secrets[0]: there is no secret `pasword` in this file; did you mean password?",
            "7: services.a.secrets[1]: there is no secret `other` in this file",
            "8: services.a.depends_on.b: there is no service `b` in this file",
        ],
    ),
    (
        "cycle",
        r"name: x
services:
  a: {image: a, depends_on: [b]}
  b: {image: b, depends_on: [c]}
  c: {image: c, depends_on: [b]}
  d: {image: d, depends_on: [d]}
",
        &[
            "4: services.b.depends_on: services wait for each other in a circle: b -> c -> b",
            "6: services.d.depends_on: services wait for each other in a circle: d -> d",
        ],
    ),
    (
        "depends on",
        r"name: x
services:
  a:
    image: a
    depends_on:
      b: {condition: service_up}
      c: {}
      d:
  b: {image: a}
  c: {image: a}
  d: {image: a}
",
        &[
            "6: services.a.depends_on.b.condition: must be service_started or service_healthy or service_completed_successfully, but is `service_up`",
            "7: services.a.depends_on.c: has no `condition`",
            "8: services.a.depends_on.d: must be a map, but is empty",
        ],
    ),
    (
        "no image",
        r#"name: x
services:
  a: {command: b}
  b: {image: ""}
  c: {image: "a b"}
  d: {build: https://example.org/x.git}
  e: {build: {dockerfile_inline: FROM x}}
"#,
        &[
            "3: services.a: has neither `image` nor `build`",
            "4: services.b.image: is empty",
            r#"5: services.c.image: the image name "a b" has blanks in it"#,
            "6: services.d.build: must be a folder of this machine, but is `https://example.org/x.git`",
            "7: services.e.build.dockerfile_inline: not supported by missionctl; docker compose knows it",
        ],
    ),
    (
        "network mode",
        r#"name: x
services:
  a:
    image: a
    network_mode: host
    networks: [default]
    pid: service:b
    userns_mode: private
  b: {image: b, network_mode: "service:a"}
  c: {image: c, uts: private, device_cgroup_rules: ["c 188:*", "d 1:1 r", "c 1 r", "c 1:x r", "c 1:1 x", "c 1:1 rw"]}
"#,
        &[
            "3: services.a: `network_mode` and `networks` contradict each other: leave one out",
            "7: services.a.pid: must be host, but is `service:b`",
            "8: services.a.userns_mode: must be host, but is `private`",
            "9: services.b.network_mode: must be bridge or host or none, but is `service:a`",
            "10: services.c.device_cgroup_rules[0]: must be like `c 188:* rw`, but is `c 188:*`",
            "10: services.c.device_cgroup_rules[1]: must be like `c 188:* rw`, but is `d 1:1 r`",
            "10: services.c.device_cgroup_rules[2]: must be like `c 188:* rw`, but is `c 1 r`",
            "10: services.c.device_cgroup_rules[3]: must be like `c 188:* rw`, but is `c 1:x r`",
            "10: services.c.device_cgroup_rules[4]: must be like `c 188:* rw`, but is `c 1:1 x`",
            "10: services.c.uts: must be host, but is `private`",
        ],
    ),
    (
        "networks",
        r"name: x
services:
  a:
    image: a
    networks: {n: {ipv4_address: 10.0.0.1}}
networks:
  n:
    ipam: {config: [{subnet: 10.0.0.0/33}, {subnet: 10.0.0.1/24}, {subnet: 10.0.0.0}, {gateway: 10.0.0.1}, {subnet: 10.0.0.0/24, gateway: 10.0.1.1}], driver: x}
    attachable: true
  o: {external: true, internal: true}
  p: {external: {name: q}}
",
        &[
            "5: services.a.networks.n.ipv4_address: not supported by missionctl; docker compose knows it",
            "8: networks.n.ipam.config[0].subnet: `10.0.0.0/33` is no subnet: write one such as 172.31.94.0/24",
            "8: networks.n.ipam.config[1].subnet: `10.0.0.1/24` is inside the subnet 10.0.0.0/24",
            "8: networks.n.ipam.config[2].subnet: `10.0.0.0` is no subnet: write one such as 172.31.94.0/24",
            "8: networks.n.ipam.config[3]: has no `subnet`",
            "8: networks.n.ipam.config[4].gateway: `10.0.1.1` is no address in the subnet",
            "8: networks.n.ipam.driver: not supported by missionctl; docker compose knows it",
            "9: networks.n.attachable: not supported by missionctl; docker compose knows it",
            "10: networks.o.internal: an external network exists already: only its `name` can be said",
            "11: networks.p: `external.name` is obsolete: write `external: true` and `name`",
        ],
    ),
    (
        "secrets",
        r#"name: x
services:
  a:
    image: a
    secrets:
      - {source: a, uid: "1", mode: 0400}
      - {target: x}
secrets:
  a: {environment: TOKEN}
  b: {external: true}
  c:
  d: {file: ""}
"#,
        &[
            "6: services.a.secrets[0].mode: not supported by missionctl; docker compose knows it",
            "6: services.a.secrets[0].uid: not supported by missionctl; docker compose knows it",
            "7: services.a.secrets[1]: has no `source`",
            "9: secrets.a: a secret from the environment would be readable in the container's description: write `file`",
            "10: secrets.b: has no `file`",
            "10: secrets.b.external: not supported by missionctl; docker compose knows it",
            "11: secrets.c: must be a map, but is empty",
            "12: secrets.d.file: is empty",
        ],
    ),
    (
        "variables",
        r#"name: x
services:
  a:
    image: a
    hostname: ${UNSET}
    user: $ALSO_UNSET
    working_dir: ${NEEDED:?set it in mission.toml}
    stop_signal: ${1}
    command: ["${A", "${}", "${A B}", "${A:=b}", "${A:-${B}"]
    ports: ["${NO_PORT}:80"]
"#,
        &[
            "5: services.a.hostname: the variable UNSET has no value: set it, or write ${UNSET:-} for an empty one",
            "6: services.a.user: the variable ALSO_UNSET has no value: set it, or write ${ALSO_UNSET:-} for an empty one",
            "7: services.a.working_dir: the variable NEEDED has no value: set it in mission.toml",
            "8: services.a.stop_signal: `${1}` is no variable: write `${NAME}` or `${NAME:-default}`, or `$$` for a mere `$`",
            "9: services.a.command[0]: `${A` lacks its `}`",
            "9: services.a.command[1]: `${}` is no variable: write `${NAME}` or `${NAME:-default}`, or `$$` for a mere `$`",
            "9: services.a.command[2]: `${A B}` is no variable: write `${NAME}` or `${NAME:-default}`, or `$$` for a mere `$`",
            "9: services.a.command[3]: `${A:=b}` is no variable: write `${NAME}` or `${NAME:-default}`, or `$$` for a mere `$`",
            "9: services.a.command[4]: `${A:-${B}` lacks its `}`",
            "10: services.a.ports[0]: the variable NO_PORT has no value: set it, or write ${NO_PORT:-} for an empty one",
        ],
    ),
    (
        "commands",
        r#"name: x
services:
  a:
    image: a
    command: 'one "two'
    entrypoint: a; b
  b: {image: b, command: 'a `b`', entrypoint: 'a\'}
  c: {image: c, command: "a 'b", entrypoint: 'echo $$(date)'}
"#,
        &[
            r#"5: services.a.command: the quote " has no end"#,
            r#"6: services.a.entrypoint: no shell reads this, so `;` needs quotes; for a shell write a list: [sh, -c, "…"]"#,
            r#"7: services.b.command: no shell reads this, so ``` needs quotes; for a shell write a list: [sh, -c, "…"]"#,
            "7: services.b.entrypoint: ends in a backslash",
            "8: services.c.command: the quote ' has no end",
            r#"8: services.c.entrypoint: no shell reads this, so `(` needs quotes; for a shell write a list: [sh, -c, "…"]"#,
        ],
    ),
    (
        "healthchecks",
        r#"name: x
services:
  a: {image: a, healthcheck: {test: [wget, x]}}
  b: {image: a, healthcheck: {test: []}}
  c: {image: a, healthcheck: {test: [CMD]}}
  d: {image: a, healthcheck: {test: [NONE, x]}}
  e: {image: a, healthcheck: {test: a, disable: true}}
  f: {image: a, healthcheck: {test: "", retries: -1, interval: 5, start_interval: 1s}}
"#,
        &[
            "3: services.a.healthcheck.test: must be [CMD, program, arguments…], [CMD-SHELL, line] [NONE] or a line for the shell",
            "4: services.b.healthcheck.test: must be [CMD, program, arguments…], [CMD-SHELL, line] [NONE] or a line for the shell",
            "5: services.c.healthcheck.test: must be [CMD, program, arguments…], [CMD-SHELL, line] [NONE] or a line for the shell",
            "6: services.d.healthcheck.test: must be [CMD, program, arguments…], [CMD-SHELL, line] [NONE] or a line for the shell",
            "7: services.e.healthcheck: `disable: true` and `test` contradict each other: leave one out",
            "8: services.f.healthcheck.interval: must be a duration with units, such as 30s or 1m30s, but is the number 5",
            "8: services.f.healthcheck.retries: -1 is out of range",
            "8: services.f.healthcheck.start_interval: not supported by missionctl; docker compose knows it",
            "8: services.f.healthcheck.test: is empty",
        ],
    ),
    (
        "extra hosts",
        r#"name: x
services:
  a:
    image: a
    extra_hosts: [a, "b:nowhere", ":1.2.3.4", "c=1.2.3.4"]
    devices: ["nvidia.com/gpu=all", "/dev/a:/dev/b:x", "a:b:c:d", {target: /dev/a}]
    cap_add: [A, A]
    group_add: [1.5]
    ulimits: {nofile: {soft: 1}}
    deploy: {resources: {reservations: {devices: [{count: 1, device_ids: [a]}, {capabilities: [gpu], count: some}]}}}
"#,
        &[
            "5: services.a.extra_hosts[0]: must be name:address, but is `a`",
            "5: services.a.extra_hosts[1]: `nowhere` is no address: write one, or host-gateway",
            "5: services.a.extra_hosts[2]: `` is no host name",
            "6: services.a.devices[0]: must be absolute paths, but is `nvidia.com/gpu=all` and `nvidia.com/gpu=all`",
            "6: services.a.devices[1]: the permissions must be of r, w and m, but are `x`",
            "6: services.a.devices[2]: must be host:container:permissions, but is `a:b:c:d`",
            "6: services.a.devices[3]: has no `source`",
            "7: services.a.cap_add[1]: `A` stands in the list twice",
            "8: services.a.group_add[0]: must be text, but is the number 1.5: quote it",
            "9: services.a.ulimits.nofile: needs both `soft` and `hard`",
            "10: services.a.deploy.resources.reservations.devices[0]: `count` and `device_ids` contradict each other: leave one out",
            "10: services.a.deploy.resources.reservations.devices[0]: has no `capabilities`, such as [gpu]",
            "10: services.a.deploy.resources.reservations.devices[1].count: must be a whole number, but is `some`",
        ],
    ),
    (
        "aliases",
        r"name: x
x-a: &a [*a]
services: {}
",
        &["2: x-a[0]: the alias stands for a value that it is itself part of"],
    ),
    (
        "unknown alias",
        r"name: x
services: *nowhere
",
        &["2: is no YAML: while parsing node, found unknown anchor"],
    ),
    (
        "merge of text",
        r"name: x
x-a: &a text
services:
  a:
    <<: *a
    image: a
  b:
    <<: [*a]
    image: a
",
        &[
            "2: services.a.<<: stands for maps, but this is `text`",
            "2: services.b.<<: stands for maps, but this is `text`",
        ],
    ),
    (
        "tags",
        r"name: x
services:
  a:
    image: a
    user: !!str 1000
    hostname: !reset x
",
        &[
            "5: services.a.user: must be text, but is the number 1000: quote it",
            "5: services.a.user: tags are not supported by missionctl: quote what is text, and leave the tag out",
            "6: services.a.hostname: tags are not supported by missionctl: quote what is text, and leave the tag out",
        ],
    ),
    (
        "two documents",
        r"name: x
services:
  a:
    image: a
---
name: x
services:
  a:
    image: a
",
        &["5: a second document begins here: a compose file has one"],
    ),
    (
        "complex key",
        r"name: x
? [a, b]
: c
",
        &["2: a list or map cannot be a key"],
    ),
    (
        "odd keys",
        r"name: x
services:
  true: {image: a}
  b c: {image: a}
  ~: {image: a}
  1: {image: a}
",
        &[
            "3: services: the key true is not text: quote it",
            "4: services.b c: a name must be letters, digits, `.`, `-` and `_`",
            "5: services: the key ~ is not text: quote it",
            "5: services.~: a name must be letters, digits, `.`, `-` and `_`",
            "6: services: the key 1 is not text: quote it",
        ],
    ),
    (
        "control characters",
        r#"name: x
services:
  a:
    image: "a\0b"
    hostname: "\x07"
"#,
        &["4: services.a.image: has a NUL character in it"],
    ),
    (
        "home",
        r"name: x
services:
  a:
    image: a
    build: ''
    volumes: ['~:/a', '~root/x:/b']
",
        &[
            "5: services.a.build: is empty",
            "6: services.a.volumes[0]: `~` needs the variable HOME: set it, or write the whole path",
            "6: services.a.volumes[1]: `~root/x` is in the home of another user: write the whole path",
        ],
    ),
    (
        "devices",
        r"name: x
services:
  a:
    image: a
    devices: ['/dev/a:/dev/c', '/dev/b:/dev/c']
    deploy: {resources: {reservations: {devices: [{capabilities: [gpu]}], cpus: 1}}}
    mem_reservation: 1g
",
        &[
            "5: services.a.devices[1]: another device is /dev/c in the container already",
            "6: services.a.deploy.resources.reservations.cpus: not supported by missionctl; docker compose knows it",
            "7: services.a.mem_reservation: docker compose takes none beside deploy.resources.reservations",
        ],
    ),
    (
        "service names",
        r"name: x
services:
  ' ':
    image: a
  '':
    image: b
  'a/b':
    image: c
",
        &[
            "3: services. : a name must be letters, digits, `.`, `-` and `_`",
            "5: services.: a name must be letters, digits, `.`, `-` and `_`",
            "7: services.a/b: a name must be letters, digits, `.`, `-` and `_`",
        ],
    ),
];

/// A service that is right.
const SERVICE: &str = "name: x\nservices:\n  a:\n    image: a\n";

const TOO_LARGE: &str = "is too large: more than 100000 values with every alias written out";

fn lines(range: std::ops::Range<usize>, line: impl Fn(usize) -> String) -> String {
    range.map(line).collect::<Vec<_>>().concat()
}

fn refuse(text: impl AsRef<[u8]>, expected: &str) {
    assert_eq!(files::problems(text.as_ref()), [expected]);
}

#[test]
fn what_aliases_could_make_of_a_small_file_is_refused() {
    let first = "x-0: &a0 {k: v}\n";
    let lists = lines(1..20, |level| {
        let below = vec![format!("*a{}", level - 1); 9].join(", ");
        format!("x-{level}: &a{level} [{below}]\n")
    });
    refuse(format!("{first}{lists}{SERVICE}"), &format!("6: {TOO_LARGE}"));
    let merges = lines(1..20, |level| {
        let below = format!("*a{}", level - 1);
        format!("x-{level}: &a{level}\n  <<: [{below}, {below}]\n  k{level}: [{below}, {below}, {below}]\n")
    });
    refuse(format!("{first}{merges}{SERVICE}"), &format!("17: {TOO_LARGE}"));
    let chain = lines(1..20, |level| {
        format!("x-{level}: &a{level} [[[[*a{}]]]]\n", level - 1)
    });
    refuse(
        format!("{first}{chain}{SERVICE}"),
        "9: is nested more than 32 levels deep",
    );
}

#[test]
fn large_and_deep_files_are_refused() {
    let large = [SERVICE.as_bytes(), &vec![b'#'; 10_000_000]].concat();
    refuse(large, "is larger than 1048576 bytes, which no compose file is");
    refuse(
        lines(0..60_000, |key| format!("k{key}:\n")),
        &format!("50000: {TOO_LARGE}"),
    );
    refuse("[".repeat(1_000_000), "1: is no YAML: recursion limit exceeded");
    refuse("- ".repeat(500_000), "1: is nested more than 32 levels deep");
    let maps = lines(0..40, |level| format!("{}a:\n", " ".repeat(level)));
    refuse(maps, "33: is nested more than 32 levels deep");
}

#[test]
fn bytes_that_are_no_text_are_refused() {
    refuse(
        b"name: x\nservices:\n  a:\n    image: a\0b\n",
        "4: has a control character in it",
    );
    refuse(b"name: x\n# gr\xf6\xdfer\n", "2: is no UTF-8 text");
    refuse(b"\xff\xfen\0a\0m\0e\0:\0 \0x\0", "1: is no UTF-8 text");
}

#[test]
fn messages_are_short_and_on_one_line() {
    refuse(
        format!("{SERVICE}{}: x\n", "k".repeat(1000)),
        &format!("5: {}…: unknown key", "k".repeat(400)),
    );
    refuse(
        format!("{SERVICE}    restart: {}\n", "r".repeat(1000)),
        &format!(
            "5: services.a.restart: must be no, always, unless-stopped, on-failure or on-failure:NUMBER, but is `{}…",
            "r".repeat(323)
        ),
    );
    refuse(
        format!("{SERVICE}    restart: \"a\\e[1m\\nb\"\n"),
        "5: services.a.restart: must be no, always, unless-stopped, on-failure or on-failure:NUMBER, but is \
         `a\\u{1b}[1m\\nb`",
    );
}

#[test]
fn variables_nested_without_end_are_refused() {
    let text = format!(
        "name: x\nservices: {{a: {{image: a, user: \"{}x{}\"}}}}\n",
        "${A:-".repeat(17),
        "}".repeat(17)
    );
    assert_eq!(
        files::problems(text.as_bytes()),
        ["2: services.a.user: the variable A is nested more than 16 levels deep"]
    );
}

#[test]
fn a_file_cannot_publish_without_end() {
    refuse(
        format!("{SERVICE}    ports: [\"1-65535:1-65535\"]\n"),
        "5: services.a.ports[0]: `1-65535` is a range of more than 100 ports",
    );
    let ports = "\"1-100:1-100/udp\", ".repeat(101);
    let problems = files::problems(format!("{SERVICE}    ports: [{ports}]\n").as_bytes());
    let last = "5: services.a.ports[100]: is beyond the 10000 ports that a file can publish";
    assert!(problems.iter().any(|problem| problem == last), "{problems:?}");
}
