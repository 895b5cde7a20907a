//! A real Redis that keeps nothing on disk, and the two questions that the checks ask it.

use std::process::Command;

use anyhow::{Context as _, bail};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
};

use super::program::{Program, free_port};

pub(super) struct Redis {
    pub(super) port: u16,
    _program: Program,
}

impl Redis {
    pub(super) async fn start() -> anyhow::Result<Self> {
        let port = free_port()?;
        let mut command = Command::new("redis-server");
        command
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--appendonly", "no"]);
        let program = Program::start(command, &[], port).await;
        Ok(Self {
            port,
            _program: program.context("run tools/setup/redis.sh")?,
        })
    }

    /// The values of all keys that match a glob.
    pub(super) async fn values(&self, pattern: &str) -> anyhow::Result<Vec<String>> {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
        let mut stream = BufReader::new(stream);
        let keys = ask(&mut stream, &["KEYS", pattern]).await?;
        let mut values = Vec::new();
        for key in keys {
            values.extend(ask(&mut stream, &["GET", &key]).await?);
        }
        Ok(values)
    }
}

/// Sends one command, and reads an answer that is a string or a list of strings: as much
/// of RESP as KEYS and GET need.
async fn ask(stream: &mut BufReader<TcpStream>, words: &[&str]) -> anyhow::Result<Vec<String>> {
    let mut command = format!("*{}\r\n", words.len());
    for word in words {
        command.push_str(&format!("${}\r\n{word}\r\n", word.len()));
    }
    stream.write_all(command.as_bytes()).await?;
    let mut answer = Vec::new();
    let mut wanted = 1;
    while wanted > 0 {
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        let line = line.trim_end();
        if let Some(count) = line.strip_prefix('*') {
            wanted = count.parse()?;
        } else if let Some(length) = line.strip_prefix('$') {
            wanted -= 1;
            // -1: there is none.
            let Ok(length) = length.parse::<usize>() else {
                continue;
            };
            let mut text = vec![0; length + 2];
            stream.read_exact(&mut text).await?;
            text.truncate(length);
            answer.push(String::from_utf8(text)?);
        } else {
            bail!("Redis answers {words:?} with {line:?}");
        }
    }
    Ok(answer)
}
