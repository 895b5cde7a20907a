//! kill -9 of the process that embeds a job, at random moments: nothing is lost.
#![allow(clippy::unwrap_used, reason = "tests")]

mod kill;
mod support;

use std::io::Write as _;

use kill::{Watched, kills};
use support::Platform;

fn config(path: &std::path::Path) -> tempfile::NamedTempFile {
    let mut file = tempfile::Builder::new().suffix(".yaml").tempfile().unwrap();
    let text = format!(
        "embeddings:\n  jobs:\n    store: {{kind: embedded, path: \"{}\"}}\n    chunk_items: 64\n",
        path.display()
    );
    file.write_all(text.as_bytes()).unwrap();
    file
}

#[tokio::test]
async fn a_process_killed_again_and_again_loses_no_result_and_stores_none_twice() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(&folder.path().join("jobs.redb"));
    let start = || Platform::start_alone("signalbox-embeddings", Some(&config), &[]);
    let mut platform = start();
    let mut jobs = vec![Watched::create(&platform.url, "job 0").await];
    let mut at_work = 0;
    for kill in 0..kills() {
        // What is killed has to be at work.
        while !jobs.last_mut().unwrap().go_on(&platform.url, kills()).await {
            let key = format!("job {kill}");
            jobs.push(Watched::create(&platform.url, &key).await);
        }
        // SIGKILL.
        drop(platform);
        platform = start();
        let job = jobs.last_mut().unwrap().look(&platform.url).await;
        at_work += usize::from(job.end_time.is_none());
        println!(
            "  kill {}: {} of {} items were stored",
            kill + 1,
            job.done_items + job.failed_items,
            job.total_items
        );
    }
    println!(
        "  {} kills, {at_work} of them in the middle of a job",
        kills()
    );
    for watched in jobs {
        watched.check(&platform.url).await;
    }
}
