//! Images from a real registry on this machine.

use std::fs;
use std::process::{Child, Command, Stdio};

use super::lab::{Lab, docker};
use crate::lab::{Ran, eventually};
use exporter::testing::free_port;

const MACHINE: &str = "[[machine]]\nname = \"bench\"\naddress = \"localhost\"\nexporters = [\"node\"]\n";
const IMAGE: &str = "docker.io/prom/alertmanager:v0.34.0";

/// Debian's `docker-registry`.
struct Registry {
    _folder: tempfile::TempDir,
    port: u16,
    child: Child,
}

impl Registry {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let port = free_port();
        let config = folder.path().join("config.yml");
        let text = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: \"127.0.0.1:{port}\"}}\n",
            folder.path().join("images").display()
        );
        fs::write(&config, text).expect("write");
        let child = Command::new("docker-registry")
            .arg("serve")
            .arg(&config)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("run docker-registry");
        let registry = Self {
            _folder: folder,
            port,
            child,
        };
        let url = format!("http://127.0.0.1:{port}/v2/");
        eventually("the registry", || ureq::get(&url).call().ok().map(drop));
        registry
    }

    fn image(&self, tag: &str) -> String {
        format!("127.0.0.1:{}/alertmanager:{tag}", self.port)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.child.kill().expect("end it");
        self.child.wait().expect("its end");
    }
}

#[test]
fn what_is_missing_is_pulled_and_what_the_registry_lacks_is_named() {
    let registry = Registry::start();
    let good = registry.image("good");
    docker(&["tag", IMAGE, &good]);
    docker(&["push", "--quiet", &good]);
    docker(&["rmi", &good]);

    let lab = Lab::new("profile = \"lite\"", MACHINE);
    let up = |image: &str, words: &[&str]| {
        let inventory = lab.inventory("profile = \"lite\"", MACHINE);
        let variable = format!("[stack.variables]\nALERTMANAGER_IMAGE = \"{image}\"\n");
        lab.write(
            "mission.toml",
            &inventory.replace("[stack.variables]\n", &variable),
        );
        let mut command = lab.command(&[&["up"], words].concat());
        Ran::of(
            command
                .env_remove("MISSION_OFFLINE")
                .output()
                .expect("run missionctl"),
        )
    };
    let strict = up(&registry.image("bad"), &["--strict"]);
    assert_eq!(strict.code, 1);
    assert!(strict.stderr.contains("manifest unknown"), "{}", strict.stderr);
    assert!(lab.containers().is_empty());

    let lenient = up(&registry.image("bad"), &[]);
    assert_eq!(lenient.code, 1, "nobody is told of alerts, which is no success");
    assert!(
        lenient
            .stderr
            .contains("alertmanager is left out, so nobody is told"),
        "{}",
        lenient.stderr
    );
    assert_eq!(lab.service("prometheus")["healthy"], true);

    let pulled = up(&good, &[]);
    assert_eq!(pulled.code, 0, "{}", pulled.stderr);
    assert!(
        pulled.stderr.contains(&format!("pulling {good}")),
        "{}",
        pulled.stderr
    );
    assert_eq!(lab.service("alertmanager")["healthy"], true);

    // What runs goes on while its next image cannot be had, and is not cut off from the rest.
    let before = lab.containers();
    let kept = up(&registry.image("bad"), &[]);
    assert_eq!(kept.code, 1);
    assert!(
        kept.stderr.contains("alertmanager goes on with its older image"),
        "{}",
        kept.stderr
    );
    assert_eq!(lab.containers()["alertmanager"], before["alertmanager"]);
    assert_eq!(lab.service("alertmanager")["healthy"], true);
    assert_eq!(lab.run(&["down"]).code, 0);
    docker(&["rmi", &good]);
}
