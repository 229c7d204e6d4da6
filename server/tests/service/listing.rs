use crate::support::{Service, finish, problem, stale};
use resplice_api::{CodeListing, FinishStatus, FunctionListing, InstructionLine, Listing, Role};

fn example() -> Listing {
    let line = InstructionLine {
        offset: 0,
        bytes: "c3".to_owned(),
        text: "ret".to_owned(),
        target: None,
    };
    let function = FunctionListing {
        name: "f".to_owned(),
        unit: "fs/pipe.c".to_owned(),
        object: "vmlinux".to_owned(),
        pre: CodeListing::default(),
        post: CodeListing {
            lines: vec![line],
            cut_bytes: 3,
        },
    };
    Listing {
        functions: vec![function],
        left_out: 1,
    }
}

#[tokio::test]
async fn readers_see_the_listing_of_the_attempt_that_holds_the_job() {
    let service = Service::start().await;
    service.upload().await;
    let worker = service.worker("w").await;
    let lease = worker.lease(&[]).await.unwrap();
    let (client, job) = (&worker.client, lease.job);
    let team = service.client(Role::Team);
    assert_eq!(problem(team.listing(job).await).0, 404);

    let odd = client.put_listing(job, 1, b"{}".to_vec()).await;
    assert_eq!(problem(odd).0, 422);
    let bytes = serde_json::to_vec(&example()).unwrap();
    client.put_listing(job, 1, bytes.clone()).await.unwrap();
    assert_eq!(team.listing(job).await.unwrap(), example());
    let named = team.job(job).await.unwrap().listing;
    assert_eq!(named, Some(resplice_package::sha256_hex(&bytes)));

    let (host, _) = service.enrol("h1", crate::support::TARGET).await;
    assert_eq!(problem(host.listing(job).await).0, 403);
    let failed = finish(FinishStatus::Failed);
    client.finish(job, 1, &failed).await.unwrap();
    let late = client.put_listing(job, 1, bytes).await;
    assert_eq!(problem(late), stale());
    // It tells of the attempt that is over until the next one begins.
    assert_eq!(team.listing(job).await.unwrap(), example());
    team.retry_job(job).await.unwrap();
    worker.lease(&[]).await.unwrap();
    assert_eq!(problem(team.listing(job).await).0, 404);
}
