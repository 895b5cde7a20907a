//! kill -9 of one of two workers that share a job through a real Kafka and a real
//! Redis, at random moments: nothing is lost.
#![allow(clippy::unwrap_used, reason = "tests")]

mod kill;
mod support;

use std::io::Write as _;

use kill::{Watched, kills, random};
use signalbox_test_servers::{Kafka, Redis};
use support::Platform;

fn config(redis: &Redis, kafka: &Kafka, workers: u32) -> tempfile::NamedTempFile {
    let mut file = tempfile::Builder::new().suffix(".yaml").tempfile().unwrap();
    let text = format!(
        "embeddings:\n  worker_threads: 1\n  jobs:\n    workers: {workers}\n    chunk_items: 64\n    \
         lease_seconds: 3\n    sweep_seconds: 1\n    store:\n      kind: distributed\n      \
         redis_url: \"{}\"\n      kafka:\n        brokers: \"{}\"\n        partitions: 8\n        \
         consumer_properties: {{session.timeout.ms: \"3000\"}}\n",
        redis.url(),
        kafka.brokers()
    );
    file.write_all(text.as_bytes()).unwrap();
    file
}

#[tokio::test(flavor = "multi_thread")]
async fn two_workers_killed_again_and_again_lose_no_result_and_store_none_twice() {
    let (redis, kafka) = tokio::task::spawn_blocking(|| (Redis::start(), Kafka::start()))
        .await
        .unwrap();
    let (front, worker) = (config(&redis, &kafka, 0), config(&redis, &kafka, 1));
    // Takes the calls, does no work, and is not killed.
    let front = Platform::start_alone("signalbox-embeddings", Some(&front), &[]);
    let start = || {
        Some(Platform::start_alone(
            "signalbox-embeddings",
            Some(&worker),
            &[],
        ))
    };
    let mut workers = [start(), start()];
    let mut jobs = vec![Watched::create(&front.url, "job 0").await];
    let mut at_work = 0;
    for kill in 0..kills() {
        // What is killed has to be at work.
        while !jobs.last_mut().unwrap().go_on(&front.url, kills()).await {
            jobs.push(Watched::create(&front.url, &format!("job {kill}")).await);
        }
        let victim = usize::from(random().is_multiple_of(2));
        // SIGKILL.
        drop(workers[victim].take());
        let job = jobs.last_mut().unwrap().look(&front.url).await;
        at_work += usize::from(job.end_time.is_none());
        println!(
            "  kill {} of worker {victim}: {} of {} items were stored",
            kill + 1,
            job.done_items + job.failed_items,
            job.total_items
        );
        workers[victim] = start();
    }
    println!(
        "  {} kills, {at_work} of them in the middle of a job",
        kills()
    );
    for watched in jobs {
        watched.check(&front.url).await;
    }
    for (number, worker) in workers.iter().flatten().enumerate() {
        let items = worker.metric("signalbox_embeddings_job_items_total");
        println!("  worker {number} stored {items} items in its last life");
    }
}
