//! What a patch would reach, asked before it is uploaded.

use crate::support::{PATCH, Service, problem};
use resplice_api::{FileKind, Role};

#[tokio::test]
async fn files_are_told_apart_and_nothing_is_kept() {
    let service = Service::start().await;
    let team = service.client(Role::Team);
    let makefile = PATCH.replace("net/ipv6/seg6.c", "net/ipv6/Makefile");
    let header = PATCH.replace("net/ipv6/seg6.c", "include/net/seg6.h");
    let reach = team
        .reach(&format!("{PATCH}{makefile}{header}"))
        .await
        .unwrap();
    let kinds: Vec<_> = reach
        .files
        .iter()
        .map(|file| (file.path.as_str(), file.kind))
        .collect();
    assert_eq!(
        kinds,
        [
            ("include/net/seg6.h", FileKind::Header),
            ("net/ipv6/Makefile", FileKind::Refused),
            ("net/ipv6/seg6.c", FileKind::Unit),
        ]
    );
    // The source of these kernels is not on this machine.
    assert_eq!(reach.targets.len(), 2);
    assert!(reach.targets.iter().all(|target| !target.known));
    assert!(team.updates(10, None).await.unwrap().updates.is_empty());
    assert_eq!(service.app.store.list().await.unwrap().len(), 0);

    assert_eq!(problem(team.reach("hello\n").await).1, "bad-patch");
}
