//! A service to test, and a worker that builds nothing.

use super::s3::S3;
use jiff::Timestamp;
use resplice_api::{
    Channel, Enrol, Enrolled, Finish, FinishStatus, Lease, LeaseRequest, NewToken, NewUpdate,
    NewWorker, PackageInfo, Role, Target, Token, Update, client::Client,
};
use resplice_package::{Package, Provenance, SecretKey, example, part_member};
use resplice_postgres::{Database, Kind};
use resplice_server::{
    App, Config,
    catalogue::{self, Catalogue},
    db::Place,
    feeds::Settings,
    serve, webhooks,
};
use resplice_target::{Available, Progress, TargetId};
use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Duration,
};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};

pub const TARGET: &str = "debian:6.1.0-50-cloud-amd64";
pub const OTHER_TARGET: &str = "debian:6.1.0-50-amd64";
pub const PATCH: &str = "\
--- a/net/ipv6/seg6.c
+++ b/net/ipv6/seg6.c
@@ -1,2 +1,2 @@
 a
-b
+c
";

struct Fixed;

impl Catalogue for Fixed {
    fn list(&self) -> Result<Vec<Target>, catalogue::Error> {
        let target = |id: &str| Target {
            id: id.to_owned(),
            release: id.trim_start_matches("debian:").to_owned(),
            package_version: "6.1.176-1".to_owned(),
            flavour: "cloud".to_owned(),
            arch: "amd64".to_owned(),
            digest: "11".repeat(32),
            retired: None,
        };
        Ok(vec![target(OTHER_TARGET), target(TARGET)])
    }

    fn available(&self) -> Result<Vec<Available>, catalogue::Error> {
        Ok(Vec::new())
    }

    fn import(&self, _: &TargetId, _: &dyn Progress) -> Result<(), catalogue::Error> {
        Err("there is no archive here".into())
    }
}

/// What a service keeps; gone when this is dropped.
pub struct Kept {
    pub dir: tempfile::TempDir,
    database: Option<Database>,
    s3: Option<S3>,
}

impl Kept {
    /// An empty directory, and in the crate `postgres` an empty database of
    /// PostgreSQL and an empty bucket.
    pub async fn new() -> Self {
        Self::on(env!("CARGO_CRATE_NAME") == "postgres").await
    }

    /// The same of the other kind: PostgreSQL and a bucket, or neither.
    pub async fn of_the_other_kind() -> Self {
        Self::on(env!("CARGO_CRATE_NAME") != "postgres").await
    }

    async fn on(postgres: bool) -> Self {
        Self {
            s3: postgres.then(S3::start),
            dir: tempfile::tempdir().unwrap(),
            database: if postgres {
                Some(Database::create(Kind::Quick).await)
            } else {
                None
            },
        }
    }

    pub fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// The URL of the database, if it is no file.
    pub fn database_url(&self) -> Option<String> {
        Some(self.database.as_ref()?.url())
    }

    /// What names database and store to the server's own program.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let database = self.database_url().map(|url| ("RESPLICE_DATABASE", url));
        let store = self.s3.iter().flat_map(S3::environment);
        database.into_iter().chain(store).collect()
    }

    /// The directory that the store's files lie in, in the end.
    pub fn blobs(&self) -> PathBuf {
        let own = || self.data().join("blobs");
        self.s3.as_ref().map_or_else(own, S3::root)
    }

    /// The file of a digest.
    pub fn blob(&self, sha256: &str) -> PathBuf {
        self.blobs().join(&sha256[..2]).join(sha256)
    }

    /// The S3 server with the store, if it is in none of the directory.
    pub fn s3(&self) -> Option<&S3> {
        self.s3.as_ref()
    }

    fn place(&self) -> Option<Place> {
        let database = self.database.as_ref()?;
        Some(Place::postgres(&database.url()).unwrap())
    }

    /// How most tests want a service.
    fn config(&self) -> Config {
        Config {
            data: self.data(),
            database: self.place(),
            store: self.s3.as_ref().map(S3::home).unwrap_or_default(),
            listen: "127.0.0.1:0".parse().unwrap(),
            lease: Duration::from_secs(60),
            max_losses: Config::MAX_LOSSES,
            pause: Duration::from_millis(20),
            team_limit: None,
            requests_per_second: None,
            feeds: Settings::default(),
            oidc: None,
            webhooks: webhooks::Settings::default(),
        }
    }
}

/// A running service. What it keeps goes with it.
pub struct Service {
    pub url: String,
    pub app: App,
    kept: Arc<Kept>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<anyhow::Result<()>>,
}

impl Service {
    pub async fn start() -> Self {
        Self::with(|_| ()).await
    }

    pub async fn with_lease(lease: Duration) -> Self {
        Self::with(|config| config.lease = lease).await
    }

    pub async fn with_team_limit(limit: u32) -> Self {
        Self::with(|config| config.team_limit = Some(limit)).await
    }

    /// A service that is set up in another way than most tests want.
    pub async fn with(set_up: impl FnOnce(&mut Config)) -> Self {
        let kept = Arc::new(Kept::new().await);
        let mut config = kept.config();
        set_up(&mut config);
        Self::run(kept, config, Arc::new(Fixed)).await
    }

    /// A service with kernels of its own.
    pub async fn with_catalogue(kept: Arc<Kept>, catalogue: Arc<dyn Catalogue>) -> Self {
        let config = kept.config();
        Self::run(kept, config, catalogue).await
    }

    /// A service on what another one has kept.
    pub async fn on(kept: Arc<Kept>) -> Self {
        let config = kept.config();
        Self::run(kept, config, Arc::new(Fixed)).await
    }

    /// Two services on one database, which is no file.
    #[allow(dead_code, reason = "only the tests on PostgreSQL have any")]
    pub async fn pair() -> (Self, Self) {
        let one = Self::start().await;
        let two = Self::on(one.kept.clone()).await;
        (one, two)
    }

    pub fn kept(&self) -> &Kept {
        &self.kept
    }

    async fn run(kept: Arc<Kept>, config: Config, catalogue: Arc<dyn Catalogue>) -> Self {
        let listener = TcpListener::bind(config.listen).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (app, _) = App::open(config, catalogue).await.unwrap();
        // Sets up TLS for the tests' own reqwest clients as well.
        Client::new(&url, None).unwrap();
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(serve::serve(app.clone(), listener, async {
            let _ = stopped.await;
        }));
        Self {
            url,
            app,
            kept,
            stop,
            task,
        }
    }

    /// Stops the service and starts another one on the same directory.
    pub async fn restart(self) -> Self {
        self.restart_with(|_| ()).await
    }

    /// The same, set up in another way.
    pub async fn restart_with(self, set_up: impl FnOnce(&mut Config)) -> Self {
        let mut config = self.app.config.clone();
        set_up(&mut config);
        let catalogue = Arc::clone(&self.app.catalogue);
        Self::run(self.stop().await, config, catalogue).await
    }

    /// Another server on the same directory and database.
    pub async fn beside(&self) -> Self {
        let config = self.app.config.clone();
        let catalogue = Arc::clone(&self.app.catalogue);
        Self::run(Arc::clone(&self.kept), config, catalogue).await
    }

    /// Stops the service and leaves what it kept.
    pub async fn stop(self) -> Arc<Kept> {
        self.stop.send(()).unwrap();
        self.task.await.unwrap().unwrap();
        self.kept
    }

    pub fn data(&self) -> &Path {
        &self.app.config.data
    }

    pub fn token_file(&self, role: Role) -> PathBuf {
        self.data().join("tokens").join(format!("{role}.token"))
    }

    pub fn token(&self, role: Role) -> Token {
        Token::from_file(&self.token_file(role)).unwrap()
    }

    /// A token of the role, made by the admin if the server made none.
    pub async fn any_token(&self, role: Role) -> Token {
        let path = self.token_file(role);
        if !path.exists() {
            let made = self.new_token(role, role.as_str()).await;
            resplice_server::secret_file::write(&path, made.secret()).unwrap();
        }
        Token::from_file(&path).unwrap()
    }

    /// A new token of this role and name, made by the admin.
    pub async fn new_token(&self, role: Role, name: &str) -> Token {
        let new = NewToken {
            role,
            name: name.to_owned(),
            expires_at: None,
            uses: None,
        };
        let made = self.client(Role::Admin).create_token(&new).await.unwrap();
        made.token
    }

    pub fn client(&self, role: Role) -> Client {
        Client::new(&self.url, Some(self.token(role))).unwrap()
    }

    pub async fn upload(&self) -> Update {
        let update = new_update(&[TARGET]);
        self.client(Role::Team).upload(&update).await.unwrap()
    }

    pub async fn worker(&self, name: &str) -> Worker {
        let worker = Worker {
            name: name.to_owned(),
            key: SecretKey::generate().unwrap(),
            client: self.client(Role::Worker),
        };
        let new = NewWorker {
            name: name.to_owned(),
            public_key: worker.key.public().to_string(),
        };
        worker.client.register_worker(&new).await.unwrap();
        worker
    }

    pub async fn enrol(&self, name: &str, target: &str) -> (Client, Enrolled) {
        let enrol = enrolment(&SecretKey::generate().unwrap(), name, target);
        let enrolled = self.client(Role::Enrol).enrol(&enrol).await.unwrap();
        let client = Client::new(&self.url, Some(enrolled.token.clone())).unwrap();
        (client, enrolled)
    }

    /// An update that is built, and its package's bytes.
    pub async fn built(&self) -> (Update, Vec<u8>) {
        self.built_from(&new_update(&[TARGET])).await
    }

    /// The same of this upload.
    pub async fn built_from(&self, new: &NewUpdate) -> (Update, Vec<u8>) {
        let update = self.client(Role::Team).upload(new).await.unwrap();
        let name = format!("w-{}", update.id);
        let worker = self.worker(&name).await;
        let lease = worker.lease(&[]).await.unwrap();
        assert_eq!(lease.update.id, update.id, "another job was queued before");
        let package = worker.package(&lease);
        let client = &worker.client;
        worker.store(&lease, &package).await;
        client
            .finish(lease.job, lease.attempt, &finish(FinishStatus::Built))
            .await
            .unwrap();
        let update = self.client(Role::Team).update(update.id).await.unwrap();
        (update, package)
    }
}

/// A worker that builds nothing.
pub struct Worker {
    pub name: String,
    pub key: SecretKey,
    pub client: Client,
}

impl Worker {
    pub async fn lease(&self, targets: &[&str]) -> Option<Lease> {
        let request = LeaseRequest {
            worker: self.name.clone(),
            targets: targets.iter().map(|&target| target.to_owned()).collect(),
        };
        self.client.lease(&request).await.unwrap()
    }

    /// Stores a package of its own, and where it comes from.
    pub async fn store(&self, lease: &Lease, package: &[u8]) -> PackageInfo {
        let (job, attempt) = (lease.job, lease.attempt);
        let put = self.client.put_package(job, attempt, package.to_vec());
        put.await.unwrap();
        let provenance = self.provenance(package);
        let put = self.client.put_provenance(job, attempt, provenance);
        put.await.unwrap()
    }

    /// Where a package of its own comes from.
    pub fn provenance(&self, package: &[u8]) -> Vec<u8> {
        let package = Package::open(package, &[self.key.public()]).unwrap();
        Provenance::write(&package, example::told(), &self.key).unwrap()
    }

    pub fn package(&self, lease: &Lease) -> Vec<u8> {
        self.package_superseding(lease, &lease.supersedes)
    }

    /// One that takes the place of others than it was asked for.
    pub fn package_superseding(&self, lease: &Lease, supersedes: &[String]) -> Vec<u8> {
        let mut manifest = example::manifest();
        let update = lease.update.id.to_string();
        // The end of the update's id, which is twelve digits too.
        manifest.id = format!("rsp_{}", &update[update.len() - 12..]);
        manifest.update_id = update;
        manifest.name = lease.update.name.clone();
        manifest.target.id = lease.target.clone();
        manifest.supersedes = supersedes.to_vec();
        let mut members = example::members();
        let module = members.remove(&part_member(example::ID, 0)).unwrap();
        members.insert(part_member(&manifest.id, 0), module);
        Package::write(manifest, members, &self.key).unwrap()
    }
}

pub fn new_update(targets: &[&str]) -> NewUpdate {
    NewUpdate {
        name: "ipv6: check the routing header's length".to_owned(),
        patch: PATCH.to_owned(),
        targets: targets.iter().map(|&target| target.to_owned()).collect(),
        cves: vec!["CVE-2026-72400".to_owned()],
        supersedes: Vec::new(),
        notes: String::new(),
        check: None,
    }
}

pub fn finish(status: FinishStatus) -> Finish {
    Finish {
        status,
        exit_code: Some(0),
        reason: Some("as the test says".to_owned()),
        report: None,
        steps: Vec::new(),
    }
}

/// The status and code of the problem that a call failed with.
pub fn problem<T: std::fmt::Debug>(
    result: Result<T, resplice_api::client::Error>,
) -> (u16, String) {
    let error = result.expect_err("the call must be refused");
    let problem = error.problem().expect("the server must say why");
    (problem.status, problem.code().to_owned())
}

pub fn stale() -> (u16, String) {
    (409, "stale-attempt".to_owned())
}

/// What a host with this key sends to enrol, now.
pub fn enrolment(key: &SecretKey, name: &str, target: &str) -> Enrol {
    let enrol = Enrol {
        name: name.to_owned(),
        public_key: key.public().to_string(),
        release: "6.1.0-50-cloud-amd64".to_owned(),
        target: target.to_owned(),
        // What the tests release enters edge.
        channel: Some(Channel::Edge),
        at: Timestamp::now(),
        signature: String::new(),
    };
    sign(key, enrol)
}

pub fn sign(key: &SecretKey, enrol: Enrol) -> Enrol {
    let signature = hex::encode(key.sign(enrol.signed().as_bytes()));
    Enrol { signature, ..enrol }
}

/// Something that `deploy/setup --test` installs.
pub fn tool(path: &str) -> PathBuf {
    let set = |name| std::env::var_os(name).map(PathBuf::from);
    let cache = set("RESPLICE_CACHE")
        .or_else(|| set("XDG_CACHE_HOME").map(|cache| cache.join("resplice")))
        .or_else(|| set("HOME").map(|home| home.join(".cache/resplice")));
    let path = cache.unwrap().join("tools").join(path);
    let missing = format!("{} is missing: run `deploy/setup --test`", path.display());
    assert!(path.exists(), "{missing}");
    path
}

/// Runs a program to its end; says what it wrote if it does not succeed.
pub async fn run(mut command: Command) -> Result<String, String> {
    let output = tokio::task::spawn_blocking(move || command.output().unwrap());
    let output = output.await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    if output.status.success() {
        Ok(said)
    } else {
        Err(format!("{said}{errors}"))
    }
}
