//! Embedded devices on real pseudo-terminals, from the line to the webhook.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::lab::{Lab, beside, eventually};
use crate::receiver::Receiver;

/// Boards that are plugged in as long as this lives.
struct Boards(Child);

impl Boards {
    fn plug_in(folder: &Path) -> Self {
        let mut command = Command::new(beside("fake-devices"));
        command.arg("--folder").arg(folder).args(["--boards", "esp32"]);
        Self(command.stdout(Stdio::null()).spawn().expect("start fake-devices"))
    }
}

impl Drop for Boards {
    fn drop(&mut self) {
        self.0.kill().expect("unplug");
        self.0.wait().expect("wait");
    }
}

#[test]
fn a_device_that_is_unplugged_reaches_the_webhook_and_its_return_too() {
    let receiver = Receiver::answering("200 OK", "ok");
    let lab = Lab::new();
    lab.hurry(&["prometheus/rules/devices.yml"]);
    lab.edit("prometheus/rules/devices.yml", |text| {
        text.replace("for: 30s", "for: 1s")
    });
    lab.write_secret("secrets/webhook", &receiver.url("/hook"), 0o600);
    let ports = lab.path("devices");
    lab.edit("mission.toml", |text| {
        format!(
            "{text}\n[[device]]\nport = \"{}/*\"\n\n[notify.webhook]\nurl_file = \"secrets/webhook\"\n",
            ports.display()
        )
    });
    let boards = Boards::plug_in(&ports);
    lab.up();
    let (labels, _) = eventually("it is connected", || {
        lab.query("device_connection_status == 1").pop()
    });
    assert_eq!(labels["machine"], "bench");
    assert_eq!(labels["platform"], "esp32");
    let device = labels["device_id"].as_str().expect("an id").to_owned();
    eventually("tokens", || lab.query("model_tokens_total > 0").pop());

    drop(boards);
    let alert = eventually("DeviceDisconnected reaches the webhook", || {
        receiver.heard("firing", "DeviceDisconnected", ("device_id", &device))
    });
    assert_eq!(alert["labels"]["severity"], "critical");
    let before = lab.pids();
    let _boards = Boards::plug_in(&ports);
    eventually("its return reaches the webhook", || {
        receiver.heard("resolved", "DeviceDisconnected", ("device_id", &device))
    });

    // Ports stay open when the configuration changes: opening one can reset its board.
    let opened = "sum(device_reconnects_total)";
    let count = eventually("its reconnects", || lab.value(opened));
    lab.edit("mission.toml", |text| {
        text.replace("[[device]]", "[[device]]\nport = \"/nowhere/tty*\"\n\n[[device]]")
    });
    lab.up();
    assert_eq!(lab.pids(), before);
    assert_eq!(lab.value(opened), Some(count));
}
