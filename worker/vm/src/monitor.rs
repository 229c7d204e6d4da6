//! QEMU's monitor (QMP: one JSON object a line) on a private socket.

use crate::error::{Error, Result};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

const REPLY_TIMEOUT: Duration = Duration::from_secs(30);
const REPLY_MAX_BYTES: u64 = 1 << 20;

#[derive(Debug)]
pub(crate) struct Monitor {
    stream: BufReader<UnixStream>,
}

impl Monitor {
    /// Takes the connection that QEMU opened, and leaves negotiation mode.
    pub fn open(stream: UnixStream) -> Result<Self> {
        let mut monitor = Self {
            stream: BufReader::new(stream),
        };
        monitor
            .stream
            .get_ref()
            .set_read_timeout(Some(REPLY_TIMEOUT))
            .map_err(Error::io("configure", "monitor socket"))?;
        monitor.execute("qmp_capabilities", &json!({}))?;
        Ok(monitor)
    }

    /// Runs one command; events in between are skipped.
    pub fn execute(&mut self, command: &str, arguments: &Value) -> Result<Value> {
        let failed = |reason: String| Error::Monitor {
            command: command.to_owned(),
            reason,
        };
        let request = format!("{}\n", json!({"execute": command, "arguments": arguments}));
        self.stream
            .get_mut()
            .write_all(request.as_bytes())
            .map_err(|error| failed(error.to_string()))?;
        loop {
            let mut line = String::new();
            let read = (&mut self.stream)
                .take(REPLY_MAX_BYTES)
                .read_line(&mut line)
                .map_err(|error| failed(error.to_string()))?;
            if read == 0 {
                return Err(failed("QEMU closed the monitor".to_owned()));
            }
            let mut reply: Value =
                serde_json::from_str(&line).map_err(|error| failed(error.to_string()))?;
            if let Some(value) = reply.get_mut("return") {
                return Ok(value.take());
            }
            if let Some(error) = reply.get("error") {
                let text = error
                    .get("desc")
                    .and_then(Value::as_str)
                    .unwrap_or("unknown error");
                return Err(failed(text.to_owned()));
            }
        }
    }

    /// Waits until a state that was given with `-incoming` has been loaded.
    /// Bytes sent to a serial line before that are overwritten by it.
    pub fn await_running(&mut self, deadline: Instant) -> Result<()> {
        loop {
            let state = self.execute("query-status", &json!({}))?;
            let status = state
                .get("status")
                .and_then(Value::as_str)
                .unwrap_or("unknown");
            if status == "running" {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(Error::Monitor {
                    command: "query-status".to_owned(),
                    reason: format!("still {status} at the restore's deadline"),
                });
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Writes the running machine's state through `uri`; the machine stays
    /// stopped afterwards.
    pub fn migrate(&mut self, uri: &str, deadline: Instant) -> Result<()> {
        let unlimited = json!({"max-bandwidth": 1_u64 << 40});
        self.execute("migrate-set-parameters", &unlimited)?;
        self.execute("migrate", &json!({"uri": uri}))?;
        loop {
            let state = self.execute("query-migrate", &json!({}))?;
            let status = state
                .get("status")
                .and_then(Value::as_str)
                .unwrap_or("none");
            let failed = |reason: String| Error::Monitor {
                command: "migrate".to_owned(),
                reason,
            };
            match status {
                "completed" => return Ok(()),
                "failed" | "cancelled" => {
                    let text = state
                        .get("error-desc")
                        .and_then(Value::as_str)
                        .unwrap_or(status);
                    return Err(failed(text.to_owned()));
                }
                _ if Instant::now() > deadline => {
                    return Err(failed(format!("still {status} at its deadline")));
                }
                _ => std::thread::sleep(Duration::from_millis(20)),
            }
        }
    }
}
