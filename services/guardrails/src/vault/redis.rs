//! The vault that processes share: a hash for each session, which Redis lets expire.

use std::{collections::HashMap, time::Duration};

use ::redis::{
    Client, Script,
    aio::{ConnectionManager, ConnectionManagerConfig},
};

use super::{
    Answer, Store, VaultError,
    seal::{Sealed, SessionName},
};

/// Adds entries that are not there, unless there would be too many, and begins the
/// session's time anew. The empty field is the session itself.
const ADD: &str = r"
local fresh = (#ARGV - 2) / 2
if redis.call('HLEN', KEYS[1]) + fresh > tonumber(ARGV[2]) + 1 then
  return -1
end
local all = 1
redis.call('HSETNX', KEYS[1], '', '')
for at = 3, #ARGV, 2 do
  if redis.call('HSETNX', KEYS[1], ARGV[at], ARGV[at + 1]) == 0 then
    all = 0
  end
end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return all
";

pub(super) struct Redis {
    connection: ConnectionManager,
    add: Script,
    prefix: String,
    timeout: Duration,
    ttl: Duration,
    max_entries: u64,
}

impl Redis {
    pub(super) fn new(
        url: &str,
        prefix: &str,
        timeout: Duration,
        ttl: Duration,
        max_entries: u64,
    ) -> Result<Self, VaultError> {
        // The error's own words may hold the URL, and with it a password.
        let refused = |error: ::redis::RedisError| {
            VaultError::Configuration(format!(
                "url: {:?}; as in `redis://user:password@host:6379/0`",
                error.kind()
            ))
        };
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(timeout))
            .set_response_timeout(Some(timeout))
            .set_number_of_retries(1);
        let client = Client::open(url).map_err(refused)?;
        Ok(Self {
            connection: ConnectionManager::new_lazy_with_config(client, config).map_err(refused)?,
            add: Script::new(ADD),
            prefix: prefix.to_owned(),
            timeout,
            ttl,
            max_entries,
        })
    }

    fn name(&self, session: &SessionName) -> String {
        format!("{}:{}", self.prefix, hex::encode(session))
    }

    async fn within_time<T>(
        &self,
        answer: impl Future<Output = Result<T, ::redis::RedisError>>,
    ) -> Result<T, VaultError> {
        match tokio::time::timeout(self.timeout, answer).await {
            Ok(answer) => answer.map_err(|error| VaultError::Store(error.to_string())),
            Err(_) => Err(VaultError::Store(format!(
                "no answer within {:?}",
                self.timeout
            ))),
        }
    }
}

impl Store for Redis {
    fn load(&self, session: SessionName) -> Answer<'_, Option<Vec<Sealed>>> {
        Box::pin(async move {
            let mut connection = self.connection.clone();
            let mut command = ::redis::cmd("HGETALL");
            command.arg(self.name(&session));
            let fields: HashMap<Vec<u8>, Vec<u8>> = self
                .within_time(async { command.query_async(&mut connection).await })
                .await?;
            if fields.is_empty() {
                return Ok(None);
            }
            let entry = |(name, body): (Vec<u8>, Vec<u8>)| {
                Some(Sealed {
                    name: name.try_into().ok()?,
                    body,
                })
            };
            Ok(Some(fields.into_iter().filter_map(entry).collect()))
        })
    }

    fn add(&self, session: SessionName, entries: Vec<Sealed>) -> Answer<'_, bool> {
        Box::pin(async move {
            let mut connection = self.connection.clone();
            let mut call = self.add.key(self.name(&session));
            call.arg(u64::try_from(self.ttl.as_millis()).unwrap_or(u64::MAX))
                .arg(self.max_entries);
            for entry in &entries {
                call.arg(&entry.name[..]).arg(&entry.body[..]);
            }
            let added: i64 = self
                .within_time(async { call.invoke_async(&mut connection).await })
                .await?;
            match added {
                -1 => Err(VaultError::SessionFull {
                    limit: self.max_entries,
                }),
                all => Ok(all == 1),
            }
        })
    }
}
