//! The server's own program, killed in the middle of its work.

use crate::support::{Kept, Service, finish};
use resplice_api::{
    FinishStatus, JobStatus, LeaseRequest, Role, Token,
    client::{Client, Error},
};
use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    time::Duration,
};

/// A running server; killed at the latest when it is dropped.
struct Server(Child);

impl Server {
    fn start(kept: &Kept, listen: &str) -> (Self, String) {
        let mut child = Command::new(env!("CARGO_BIN_EXE_resplice-server"))
            .envs(kept.environment())
            .args([
                "serve",
                "--listen",
                listen,
                "--lease-seconds",
                "600",
                "--data",
            ])
            .arg(kept.data())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let url = line
            .trim()
            .strip_prefix("listening on ")
            .unwrap()
            .to_owned();
        (Self(child), url)
    }

    fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn a_log_survives_a_server_that_is_killed_while_it_is_written() {
    let service = Service::start().await;
    let job = service.upload().await.jobs[0].id;
    let kept = service.stop().await;
    let data = kept.data();
    let token = Token::from_file(&data.join("tokens/worker.token")).unwrap();

    let (mut server, url) = Server::start(&kept, "127.0.0.1:0");
    let listen = url.trim_start_matches("http://").to_owned();
    let client = Client::new(&url, Some(token)).unwrap();
    let request = LeaseRequest {
        worker: "w".to_owned(),
        targets: Vec::new(),
    };
    let lease = client.lease(&request).await.unwrap().unwrap();
    assert_eq!(lease.job, job);

    let log: Vec<u8> = (0..5_000_000_u32).flat_map(u32::to_le_bytes).collect();
    let mut offset = 0;
    let mut stops = Vec::new();
    for kill_after in [120, 45, 200, 70, 160] {
        let writer = tokio::spawn({
            let (client, log) = (client.clone(), log.clone());
            async move { write(&client, job, &log, offset).await }
        });
        tokio::time::sleep(Duration::from_millis(kill_after)).await;
        server.kill();
        offset = writer.await.unwrap();
        stops.push(offset);
        (server, _) = Server::start(&kept, &listen);
    }
    assert!(
        stops
            .iter()
            .any(|stop| *stop > 0 && *stop < log.len() as u64),
        "{stops:?}"
    );
    // A connection to a server that was killed may lie in the client's pool: as a
    // worker does, try again.
    for _ in 0..10 {
        offset = write(&client, job, &log, offset).await;
    }
    assert_eq!(offset, log.len() as u64, "the last server was not killed");
    let end = finish(FinishStatus::Failed);
    while let Err(error) = client.finish(job, 1, &end).await {
        assert!(error.is_transient(), "{error}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }

    let reader = client.with_token(Token::from_file(&data.join("tokens/team.token")).unwrap());
    let mut read = Vec::new();
    let status = reader
        .follow_log(job, |_, bytes| read.extend_from_slice(bytes))
        .await
        .unwrap();
    assert_eq!(status, JobStatus::Failed);
    assert!(read == log, "{} of {} bytes", read.len(), log.len());
}

/// Appends small pieces until the server is gone, and returns what it has taken.
async fn write(client: &Client, job: resplice_api::JobId, log: &[u8], from: u64) -> u64 {
    let mut offset = from;
    while offset < log.len() as u64 {
        let at = usize::try_from(offset).unwrap();
        let piece = &log[at..log.len().min(at + 70_001)];
        match client.append_log(job, 1, offset, piece).await {
            Ok(end) => offset = end,
            Err(Error::Send { .. }) => break,
            Err(error) => panic!("at {offset}: {error}"),
        }
    }
    offset
}

#[tokio::test]
async fn the_default_role_files_are_named_at_the_start() {
    let kept = Kept::new().await;
    let (server, url) = Server::start(&kept, "127.0.0.1:0");
    assert!(url.starts_with("http://127.0.0.1:"), "{url}");
    for role in [Role::Team, Role::Engineer, Role::Worker, Role::Enrol] {
        let file = kept.data().join("tokens").join(format!("{role}.token"));
        Token::from_file(&file).unwrap();
    }
    server.kill();
}
