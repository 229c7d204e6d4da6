//! Talking to a server that answers as told, and to one that is not there.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::{
    agent::Agent,
    journal::{By, Entry, State},
    ledger,
    poll::{self, Ask},
    server::{Server, known_plan},
    state::{Enrolment, StateDir},
};
use jiff::Timestamp;
use resplice_api::{HostId, PlannedUpdate, ReleaseProof, Token};
use resplice_tlog::{Signer, tree::leaf_hash};
use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::mpsc::{Receiver, channel},
    thread,
};

const UPDATE: &str = "0199b1a2-0000-7000-8000-000000000001";
const PLAN: &str = r#"{"updates":[],"undo":["0199b1a2-0000-7000-8000-000000000001"]}"#;

/// Answers one request a connection with the given responses in turn; tells the
/// requests.
fn server(responses: Vec<String>) -> (String, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (tell, requests) = channel();
    thread::spawn(move || {
        for response in responses {
            let (mut stream, _) = listener.accept().unwrap();
            tell.send(request(&mut stream)).unwrap();
            stream.write_all(response.as_bytes()).unwrap();
        }
    });
    (address, requests)
}

fn request(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    let mut buffer = [0; 4096];
    loop {
        let count = stream.read(&mut buffer).unwrap();
        text.push_str(&String::from_utf8_lossy(&buffer[..count]));
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let length = head
            .lines()
            .find_map(|line| {
                line.to_ascii_lowercase()
                    .strip_prefix("content-length: ")?
                    .parse()
                    .ok()
            })
            .unwrap_or(0);
        if body.len() >= length {
            return text;
        }
    }
}

fn response(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n{body}"
    )
}

fn agent_of(dir: &tempfile::TempDir, server: &str) -> Agent {
    let state = StateDir::new(&dir.path().join("state"));
    state.create().unwrap();
    state
        .store_token(&Token::new("0123456789abcdef").unwrap())
        .unwrap();
    let enrolment = Enrolment {
        server: Some(server.to_owned()),
        host_id: Some(HostId::new()),
        name: "host".to_owned(),
        target: "debian:x".to_owned(),
        worker_keys: Vec::new(),
        log_key: None,
        channel: resplice_api::Channel::Edge,
    };
    state.store_enrolment(&enrolment).unwrap();
    Agent::open_locked(&state).unwrap().0
}

fn taken() -> String {
    let id = HostId::new();
    let report = format!(
        r#"{{"id":"{id}","host_id":"{id}","host_name":"h","update_id":"{UPDATE}","event":"applied","detail":"","pause_ns":null,"timeline":[],"received_at":"2026-01-01T00:00:00Z"}}"#
    );
    response("201 Created", "content-type: application/json\r\n", &report)
}

fn refused(status: &str) -> String {
    let code = &status[..3];
    let problem = format!(r#"{{"type":"about:blank","title":"t","status":{code},"detail":"no"}}"#);
    response(
        status,
        "content-type: application/problem+json\r\n",
        &problem,
    )
}

#[test]
fn reports_wait_on_disk_until_the_server_is_back() {
    let dir = tempfile::tempdir().unwrap();
    let mut agent = agent_of(&dir, "http://127.0.0.1:1");
    agent
        .journal
        .append(Entry::new(UPDATE, State::Applying, By::Server))
        .unwrap();
    let mut entry = Entry::new(UPDATE, State::Applied, By::Server);
    entry.pause_ns = Some(41_200);
    agent.journal.append(entry).unwrap();
    let down = Server::of(&agent).unwrap().unwrap();
    assert!(down.send_reports(&agent).is_err());
    drop(agent);

    let (address, requests) = server(vec![taken()]);
    let agent = agent_of(&dir, &address);
    let up = Server::of(&agent).unwrap().unwrap();
    assert_eq!(up.send_reports(&agent).unwrap(), 1);
    let request = requests.recv().unwrap();
    assert!(
        request.contains(r#""event":"applied""#) && request.contains("41200"),
        "{request}"
    );
    // Sent once: another round asks for nothing.
    assert_eq!(up.send_reports(&agent).unwrap(), 0);
}

#[test]
fn a_report_that_the_server_never_takes_does_not_block_the_next_one() {
    let dir = tempfile::tempdir().unwrap();
    let (address, requests) = server(vec![refused("404 Not Found"), taken()]);
    let mut agent = agent_of(&dir, &address);
    agent
        .journal
        .append(Entry::new(UPDATE, State::Refused, By::Server))
        .unwrap();
    agent
        .journal
        .append(Entry::new(UPDATE, State::Applied, By::Server))
        .unwrap();
    let up = Server::of(&agent).unwrap().unwrap();
    assert_eq!(up.send_reports(&agent).unwrap(), 1);
    assert!(requests.recv().unwrap().contains(r#""event":"refused""#));
    assert!(requests.recv().unwrap().contains(r#""event":"applied""#));
}

#[test]
fn a_revoked_token_loses_no_report() {
    let dir = tempfile::tempdir().unwrap();
    let (address, _requests) = server(vec![refused("401 Unauthorized"), taken()]);
    let mut agent = agent_of(&dir, &address);
    agent
        .journal
        .append(Entry::new(UPDATE, State::Applied, By::Server))
        .unwrap();
    let up = Server::of(&agent).unwrap().unwrap();
    assert!(up.send_reports(&agent).is_err());
    assert_eq!(up.send_reports(&agent).unwrap(), 1);
}

#[test]
fn a_log_that_lacks_a_release_is_refused_and_reported() {
    let dir = tempfile::tempdir().unwrap();
    let log = Signer::new("log.test", &[7; 32]).unwrap();
    // Well signed, and of something else.
    let entry = "{}".to_owned();
    let proof = ReleaseProof {
        checkpoint: log.sign(1, leaf_hash(entry.as_bytes())),
        entry,
        index: 0,
        proof: Vec::new(),
        consistency: Vec::new(),
    };
    let forged = serde_json::to_string(&proof).unwrap();
    let forged = response("200 OK", "content-type: application/json\r\n", &forged);
    for answer in [forged, refused("404 Not Found")] {
        let (address, requests) = server(vec![answer, taken()]);
        let mut agent = agent_of(&dir, &address);
        agent.enrolment.log_key = Some(log.verifier().to_string());
        let up = Server::of(&agent).unwrap().unwrap();
        let planned = PlannedUpdate {
            update_id: UPDATE.parse().unwrap(),
            name: "it".to_owned(),
            package_sha256: "ab".repeat(32),
            bytes: 7,
            target: "debian:x".to_owned(),
            released_at: Timestamp::UNIX_EPOCH,
        };
        let outcome = ledger::object(&mut agent, &up, &planned, By::Server).unwrap();
        let outcome = outcome.unwrap();
        assert_eq!(outcome.state, State::Refused);
        assert!(requests.recv().unwrap().contains("/proof"));
        assert_eq!(up.send_reports(&agent).unwrap(), 1);
        let report = requests.recv().unwrap();
        assert!(report.contains(r#""event":"refused""#), "{report}");
        let why = &outcome.detail.unwrap()[..20];
        assert!(report.contains(why), "{report}");
    }
}

#[test]
fn a_poll_with_nothing_to_do_costs_one_request() {
    let dir = tempfile::tempdir().unwrap();
    let headers = "etag: \"e1\"\r\ncontent-type: application/json\r\n";
    let (address, requests) = server(vec![response("200 OK", headers, PLAN)]);
    let mut agent = agent_of(&dir, &address);
    let up = Server::of(&agent).unwrap().unwrap();
    let plan = up.plan(&agent.state).unwrap();
    requests.recv().unwrap();
    // What it is to undo is not in effect; nobody answers a second request.
    let mut carry_out = |ask| poll::carry_out(&mut agent, &up, &plan, By::Server, ask);
    assert!(carry_out(Ask::IfNeeded).unwrap().is_empty());
    assert!(carry_out(Ask::Always).is_err());
}

#[test]
fn a_plan_is_asked_for_by_its_etag_and_kept() {
    let dir = tempfile::tempdir().unwrap();
    let fresh = response(
        "200 OK",
        "etag: \"e1\"\r\ncontent-type: application/json\r\n",
        PLAN,
    );
    let unchanged = "HTTP/1.1 304 Not Modified\r\nconnection: close\r\n\r\n".to_owned();
    let (address, requests) = server(vec![fresh, unchanged]);
    let agent = agent_of(&dir, &address);
    let up = Server::of(&agent).unwrap().unwrap();
    let first = up.plan(&agent.state).unwrap();
    assert_eq!(first.undo.len(), 1);
    assert!(!requests.recv().unwrap().contains("if-none-match"));
    assert_eq!(up.plan(&agent.state).unwrap(), first);
    assert!(requests.recv().unwrap().contains("if-none-match: \"e1\""));
    assert_eq!(known_plan(&agent.state).unwrap().unwrap(), first);
}
