//! nginx, beside which the server is measured.

use anyhow::{Result, ensure};
use resplice_target::Cache;
use resplice_tests::service::Service;
use std::fs;
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

const START: Duration = Duration::from_secs(30);

/// nginx on the loopback, with one file.
pub struct Nginx {
    pub port: u16,
    _service: Service,
    // Last: it goes after nginx has.
    _work: TempDir,
}

impl Nginx {
    pub fn start() -> Result<Self> {
        let home = tempfile::tempdir()?;
        let work = home.path();
        let nginx = Cache::from_env().root().join("tools/nginx/usr/sbin/nginx");
        ensure!(
            nginx.exists(),
            "nginx is not there: run `deploy/setup --bench`"
        );
        let port = std::net::TcpListener::bind("127.0.0.1:0")?
            .local_addr()?
            .port();
        let root = work.join("nginx");
        fs::create_dir(&root)?;
        fs::write(root.join("plan.json"), "{\"updates\":[]}\n")?;
        let root = root.display();
        let config = format!(
            "daemon off; worker_processes auto; pid {root}/pid; error_log {root}/errors;\n\
             events {{}}\n\
             http {{ access_log off; keepalive_requests 100000000; client_body_temp_path {root}/b;\n\
             proxy_temp_path {root}/p; fastcgi_temp_path {root}/f; uwsgi_temp_path {root}/u;\n\
             scgi_temp_path {root}/s; server {{ listen 127.0.0.1:{port}; root {root}; }} }}\n"
        );
        fs::write(work.join("nginx.conf"), config)?;
        let mut command = Command::new(nginx);
        command.arg("-c").arg(work.join("nginx.conf"));
        let mut service = Service::start("nginx", &mut command, work.join("nginx.log"))?;
        service.wait_for("its port", START, |_| {
            Ok(TcpStream::connect(("127.0.0.1", port)).ok())
        })?;
        Ok(Self {
            port,
            _service: service,
            _work: home,
        })
    }
}
