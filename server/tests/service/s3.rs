//! An S3 server on loopback, with a bucket for each test: the store of half of
//! these tests.

use resplice_s3::serve;
use resplice_server::store::{Credentials, Home};
use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    thread,
};
use tokio::{net::TcpListener, runtime, sync::oneshot};

const KEY: &str = "test";
const SECRET: &str = "of-the-tests";
const BUCKET: &str = "updates";
const PREFIX: &str = "store";

/// A server; it ends when this is dropped.
pub struct S3 {
    directory: tempfile::TempDir,
    url: String,
    _stop: oneshot::Sender<()>,
}

impl S3 {
    /// Has a thread of its own: tests run programs and wait for them.
    pub fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("root");
        fs::create_dir_all(root.join(BUCKET)).unwrap();
        let file = directory.path().join("s3.toml");
        fs::write(
            &file,
            format!("access_key_id = \"{KEY}\"\nsecret_access_key = \"{SECRET}\"\n"),
        )
        .unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        let credentials = resplice_s3::Credentials::from_file(&file).unwrap();
        let (said, ready) = std::sync::mpsc::channel();
        let (stop, stopped) = oneshot::channel();
        thread::spawn(move || {
            let runtime = runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                said.send(listener.local_addr().unwrap()).unwrap();
                tokio::select! {
                    served = serve(listener, &root, BUCKET, &credentials) => served.unwrap(),
                    _ = stopped => {}
                }
            });
        });
        let address = ready.recv().unwrap();
        // Once it answers it has made the bucket, and makes it no more.
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
        stream.read_exact(&mut [0]).unwrap();
        Self {
            url: format!("http://{address}"),
            directory,
            _stop: stop,
        }
    }

    pub fn home(&self) -> Home {
        let mut home = Home::parse(&self.place()).unwrap();
        let Home::Bucket(bucket) = &mut home else {
            unreachable!()
        };
        bucket.endpoint = Some(self.url.clone());
        bucket.credentials = Some(Credentials::from_file(&self.credentials()).unwrap());
        home
    }

    /// The same for the server's own program.
    pub fn environment(&self) -> [(&'static str, String); 3] {
        [
            ("RESPLICE_STORE", self.place()),
            ("RESPLICE_STORE_ENDPOINT", self.url.clone()),
            (
                "RESPLICE_STORE_CREDENTIALS_FILE",
                self.credentials().display().to_string(),
            ),
        ]
    }

    /// Where the server keeps what is in the store.
    pub fn root(&self) -> PathBuf {
        self.bucket().join(PREFIX)
    }

    pub fn bucket(&self) -> PathBuf {
        self.directory.path().join("root").join(BUCKET)
    }

    fn place(&self) -> String {
        format!("s3://{BUCKET}/{PREFIX}")
    }

    fn credentials(&self) -> PathBuf {
        Path::join(self.directory.path(), "s3.toml")
    }
}
