//! Every call against a real supervisord.

use rustix::process::Signal;
use supervisor::testing::{Supervisord, eventually};
use supervisor::{Client, Error, FaultKind, ProcessState, ServerState};

const PROGRAMS: &str = "[program:steady]\ncommand=/bin/sh -c 'echo ready; exec sleep 1000'\nstartsecs=0\nstopwaitsecs=1\n\n\
    [program:manual]\ncommand=sleep 1000\nautostart=false\nstartsecs=0\nstopwaitsecs=1\n\n\
    [program:missing]\ncommand=/nonexistent/program\nautostart=false\n\n\
    [program:pair]\ncommand=sleep 1000\nnumprocs=2\nprocess_name=pair_%(process_num)d\nautostart=false\nstartsecs=0\nstopwaitsecs=1\n";

fn fault(error: &Error) -> FaultKind {
    error
        .fault()
        .map_or_else(|| panic!("not a fault: {error}"), supervisor::Fault::kind)
}

#[test]
fn tells_about_processes_and_itself() {
    let supervisord = Supervisord::start(PROGRAMS);
    supervisord.wait_for("steady", |info| info.state == ProcessState::Running);
    supervisord.call(async |client| {
        let processes = client.all_process_info().await.expect("processes");
        let names: Vec<_> = processes.iter().map(supervisor::ProcessInfo::full_name).collect();
        assert_eq!(
            names,
            ["manual", "missing", "pair:pair_0", "pair:pair_1", "steady"]
        );
        let steady = &processes[4];
        assert!(steady.pid.is_some() && steady.start.is_some_and(|start| start <= steady.now));
        let manual = &processes[0];
        assert_eq!(
            (manual.state, manual.pid, manual.start),
            (ProcessState::Stopped, None, None)
        );

        assert_eq!(client.state().await.expect("state"), ServerState::Running);
        assert_eq!(client.pid().await.expect("pid"), i64::from(supervisord.pid()));
        assert_eq!(
            client.identification().await.expect("identification"),
            "supervisor"
        );
        assert!(client.version().await.expect("version").starts_with('4'));

        let configs = client
            .all_config_info()
            .await
            .expect("configs")
            .expect("a version that knows");
        let manual = configs
            .iter()
            .find(|config| config.name == "manual")
            .expect("manual");
        assert_eq!(manual.command.as_deref(), Some("sleep 1000"));
        assert_eq!((manual.autostart, manual.in_use), (Some(false), Some(true)));
        assert_eq!(
            (manual.exit_codes.as_slice(), manual.start_retries),
            ([0].as_slice(), Some(3))
        );
    });
}

#[test]
fn starts_stops_and_signals() {
    let supervisord = Supervisord::start(PROGRAMS);
    supervisord.call(async |client| {
        client.start_process("manual", true).await.expect("start");
        assert_eq!(
            fault(&client.start_process("manual", true).await.expect_err("again")),
            FaultKind::AlreadyStarted
        );
        client.signal_process("manual", "STOP").await.expect("signal");
        client
            .signal_process("manual", "18")
            .await
            .expect("signal by number");
        assert_eq!(
            fault(
                &client
                    .signal_process("manual", "NONSENSE")
                    .await
                    .expect_err("no signal")
            ),
            FaultKind::BadSignal
        );
        client.stop_process("manual", true).await.expect("stop");
        assert_eq!(
            client.process_info("manual").await.expect("info").state,
            ProcessState::Stopped
        );
        assert_eq!(
            fault(&client.stop_process("manual", true).await.expect_err("twice")),
            FaultKind::NotRunning
        );
        assert_eq!(
            fault(&client.start_process("missing", true).await.expect_err("missing")),
            FaultKind::NoFile
        );
        assert_eq!(
            fault(&client.process_info("nosuch").await.expect_err("no name")),
            FaultKind::BadName
        );
        assert_eq!(
            fault(
                &client
                    .call("supervisor.nosuch", &[])
                    .await
                    .expect_err("no method")
            ),
            FaultKind::UnknownMethod
        );

        let results = client
            .start_process_group("pair", true)
            .await
            .expect("start group");
        assert_eq!(results.len(), 2);
        assert!(
            results
                .iter()
                .all(|result| result.group == "pair" && result.fault.is_none()),
            "{results:?}"
        );
        assert_eq!(
            client
                .stop_process_group("pair", true)
                .await
                .expect("stop group")
                .len(),
            2
        );
    });
}

#[test]
fn rereads_its_configuration() {
    let supervisord = Supervisord::start(PROGRAMS);
    supervisord.configure(&PROGRAMS.replace("program:manual", "program:added"));
    supervisord.call(async |client| {
        let changes = client.reload_config().await.expect("reload");
        assert_eq!(
            (changes.added.as_slice(), changes.removed.as_slice()),
            (["added".to_owned()].as_slice(), ["manual".to_owned()].as_slice())
        );
        assert!(changes.changed.is_empty());
        client.add_process_group("added").await.expect("add");
        assert_eq!(
            fault(&client.add_process_group("added").await.expect_err("twice")),
            FaultKind::AlreadyAdded
        );
        client.remove_process_group("manual").await.expect("remove");
        assert_eq!(
            fault(&client.remove_process_group("steady").await.expect_err("runs")),
            FaultKind::StillRunning
        );
    });
    supervisord.configure("[program:broken]\n");
    let error = supervisord.call(async |client| client.reload_config().await.expect_err("broken file"));
    assert_eq!(fault(&error), FaultKind::CantReread);
}

#[test]
fn reads_logs() {
    let supervisord = Supervisord::start(PROGRAMS);
    supervisord.wait_for("steady", |info| info.state == ProcessState::Running);
    let tail = eventually("output of steady", || {
        let tail = supervisord.call(async |client| client.tail_process_stdout_log("steady", 0, 1000).await);
        tail.ok().filter(|tail| !tail.text.is_empty())
    });
    assert_eq!(
        (tail.text.as_str(), tail.offset, tail.overflow),
        ("ready\n", 6, false)
    );
    supervisord.call(async |client| {
        let log = client.read_log(0, 0).await.expect("log");
        assert!(log.contains("spawned: 'steady' with pid"), "{log}");
        assert_eq!(client.read_log(0, 10).await.expect("start"), log[..10]);
        assert_eq!(client.read_log(-5, 0).await.expect("end").len(), 5);
        assert_eq!(client.read_log(1_000_000, 10).await.expect("beyond"), "");
    });
}

#[test]
fn a_kept_connection_survives_a_restart_of_supervisord() {
    let mut supervisord = Supervisord::start(PROGRAMS);
    let client = Client::new(supervisord.url().parse().expect("endpoint"));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("runtime");
    assert_eq!(
        runtime.block_on(client.pid()).expect("pid"),
        i64::from(supervisord.pid())
    );
    supervisord.kill();
    let error = runtime.block_on(client.pid()).expect_err("gone");
    assert!(
        matches!(error, Error::Connect { .. } | Error::Broken { .. }),
        "{error}"
    );
    supervisord.start_again();
    assert_eq!(
        runtime.block_on(client.pid()).expect("pid"),
        i64::from(supervisord.pid())
    );
}

#[test]
fn a_hung_supervisord_is_a_timeout() {
    let supervisord = Supervisord::start(PROGRAMS);
    supervisord.signal(Signal::STOP);
    let endpoint = supervisord.url().parse().expect("endpoint");
    let client = Client::new(endpoint).with_timeout(std::time::Duration::from_millis(300));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("runtime");
    let error = runtime
        .block_on(client.all_process_info())
        .expect_err("no answer");
    assert!(matches!(error, Error::Timeout { .. }), "{error}");
    supervisord.signal(Signal::CONT);
    let client = client.with_timeout(supervisor::testing::PATIENCE);
    assert_eq!(
        runtime
            .block_on(client.all_process_info())
            .expect("processes")
            .len(),
        5
    );
}

#[test]
fn asks_over_tcp_with_a_password() {
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .expect("bind")
        .local_addr()
        .expect("address")
        .port();
    let server = format!("[inet_http_server]\nport=127.0.0.1:{port}\nusername=u\npassword=p@:/ss\n");
    let supervisord = Supervisord::start(&format!("{PROGRAMS}\n{server}"));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("runtime");
    let ask = |url: String| runtime.block_on(Client::new(url.parse().expect("endpoint")).pid());
    let pid = ask(format!("http://u:p%40%3A%2Fss@127.0.0.1:{port}/RPC2")).expect("pid");
    assert_eq!(pid, i64::from(supervisord.pid()));
    let error = ask(format!("http://127.0.0.1:{port}")).expect_err("no password");
    assert!(matches!(error, Error::Unauthorized { .. }), "{error}");
    let error = ask(format!("http://u:p%40%3A%2Fss@127.0.0.1:{port}/index.html")).expect_err("a web page");
    assert!(error.to_string().contains("/RPC2"), "{error}");
}
