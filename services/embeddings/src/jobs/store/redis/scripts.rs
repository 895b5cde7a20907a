//! The scripts that change jobs in Redis. Each runs whole, with nothing in between;
//! that is what "atomic" rests on. All keys are handed in, so that a cluster can tell
//! that they lie together.

use ::redis::Script;

/// All scripts, hashed once.
pub(super) struct Scripts {
    pub(super) create: Script,
    pub(super) claim: Script,
    pub(super) renew: Script,
    pub(super) complete: Script,
    pub(super) end: Script,
    pub(super) delete: Script,
}

impl Scripts {
    pub(super) fn new() -> Self {
        Self {
            create: Script::new(CREATE),
            claim: Script::new(CLAIM),
            renew: Script::new(RENEW),
            complete: Script::new(COMPLETE),
            end: Script::new(END),
            delete: Script::new(DELETE),
        }
    }
}

/// KEYS: job, texts, caller, keys, expiry, unsent, pending.
/// ARGV: id, spec, caller, key, total, expires, gone, limit, send at, chunk...
const CREATE: &str = r"
if ARGV[4] ~= '' then
    local known = redis.call('HGET', KEYS[4], ARGV[4])
    if known then return {'known', known} end
end
if redis.call('ZCARD', KEYS[3]) >= tonumber(ARGV[8]) then return {'full', ''} end
redis.call('HSET', KEYS[1], 'spec', ARGV[2], 'state', 'pending', 'total', ARGV[5],
    'done', 0, 'failed', 0, 'caller', ARGV[3], 'key', ARGV[4])
for index = 10, #ARGV do
    redis.call('HSET', KEYS[2], index - 10, ARGV[index])
end
redis.call('PEXPIREAT', KEYS[1], ARGV[7])
redis.call('PEXPIREAT', KEYS[2], ARGV[7])
if ARGV[4] ~= '' then redis.call('HSET', KEYS[4], ARGV[4], ARGV[1]) end
redis.call('ZADD', KEYS[3], 0, ARGV[1])
redis.call('ZADD', KEYS[5], ARGV[6], ARGV[1])
redis.call('ZADD', KEYS[6], ARGV[9], ARGV[1])
redis.call('SADD', KEYS[7], ARGV[1])
return {'new', ''}
";

/// KEYS: job, texts, results, leases, pending, running.
/// ARGV: id, chunk, now, until, token, gone.
const CLAIM: &str = r"
local state = redis.call('HGET', KEYS[1], 'state')
if state ~= 'pending' and state ~= 'running' then return {'done', '', ''} end
if redis.call('HEXISTS', KEYS[3], ARGV[2]) == 1 then return {'done', '', ''} end
local held = redis.call('HGET', KEYS[4], ARGV[2])
if held then
    local left = tonumber(string.match(held, '^%d+')) - tonumber(ARGV[3])
    if left > 0 and string.match(held, '%d+$') ~= ARGV[5] then
        return {'held', tostring(left), ''}
    end
end
redis.call('HSET', KEYS[4], ARGV[2], ARGV[4] .. ' ' .. ARGV[5])
redis.call('PEXPIREAT', KEYS[4], ARGV[6])
if state == 'pending' then
    redis.call('HSET', KEYS[1], 'state', 'running', 'started', ARGV[3])
    redis.call('SMOVE', KEYS[5], KEYS[6], ARGV[1])
end
return {'taken', redis.call('HGET', KEYS[1], 'spec'),
    redis.call('HGET', KEYS[2], ARGV[2]) or ''}
";

/// KEYS: job, leases. ARGV: chunk, token, until (0: give back).
const RENEW: &str = r"
local held = redis.call('HGET', KEYS[2], ARGV[1])
if not held or string.match(held, '%d+$') ~= ARGV[2] then return 0 end
if ARGV[3] == '0' then
    redis.call('HDEL', KEYS[2], ARGV[1])
else
    redis.call('HSET', KEYS[2], ARGV[1], ARGV[3] .. ' ' .. ARGV[2])
end
return 1
";

/// KEYS: job, texts, results, leases, pending, running.
/// ARGV: id, chunk, results, done, failed, now, gone.
const COMPLETE: &str = r"
local state = redis.call('HGET', KEYS[1], 'state')
if state ~= 'pending' and state ~= 'running' then return 0 end
if redis.call('HSETNX', KEYS[3], ARGV[2], ARGV[3]) == 0 then return 0 end
redis.call('PEXPIREAT', KEYS[3], ARGV[7])
redis.call('HDEL', KEYS[2], ARGV[2])
redis.call('HDEL', KEYS[4], ARGV[2])
local done = redis.call('HINCRBY', KEYS[1], 'done', ARGV[4])
local failed = redis.call('HINCRBY', KEYS[1], 'failed', ARGV[5])
redis.call('HSET', KEYS[1], 'touched', ARGV[6], 'state', 'running')
redis.call('HSETNX', KEYS[1], 'started', ARGV[6])
if done + failed >= tonumber(redis.call('HGET', KEYS[1], 'total')) then
    redis.call('HSET', KEYS[1], 'state', 'succeeded')
    redis.call('SREM', KEYS[5], ARGV[1])
    redis.call('SREM', KEYS[6], ARGV[1])
    redis.call('DEL', KEYS[2], KEYS[4])
end
return 1
";

/// KEYS: job, texts, leases, unsent, pending, running. ARGV: id, state, reason, now.
const END: &str = r"
local state = redis.call('HGET', KEYS[1], 'state')
if state ~= 'pending' and state ~= 'running' then return 0 end
redis.call('HSET', KEYS[1], 'state', ARGV[2], 'error', ARGV[3], 'touched', ARGV[4])
redis.call('DEL', KEYS[2], KEYS[3])
redis.call('ZREM', KEYS[4], ARGV[1])
redis.call('SREM', KEYS[5], ARGV[1])
redis.call('SREM', KEYS[6], ARGV[1])
return 1
";

/// KEYS: job, texts, results, leases, caller, keys, expiry, unsent, pending, running.
/// ARGV: id, key.
const DELETE: &str = r"
redis.call('DEL', KEYS[1], KEYS[2], KEYS[3], KEYS[4])
redis.call('ZREM', KEYS[5], ARGV[1])
if redis.call('HGET', KEYS[6], ARGV[2]) == ARGV[1] then
    redis.call('HDEL', KEYS[6], ARGV[2])
end
redis.call('ZREM', KEYS[7], ARGV[1])
redis.call('ZREM', KEYS[8], ARGV[1])
redis.call('SREM', KEYS[9], ARGV[1])
redis.call('SREM', KEYS[10], ARGV[1])
return 1
";
