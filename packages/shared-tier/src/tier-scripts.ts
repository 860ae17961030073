import { Script } from "./engine.ts";

/**
 * What is stored under a key; where that is nothing, also the lease. KEYS: metadata, lease. ARGV: token, ms, what chunks' names begin with, most bytes of a body that comes
 * along. Returns the fields and values; who has the lease ("" when nobody was asked for it, "pass" when there is no room for one); the body of the only
 * variant, when it is small, and then one trip is enough.
 */
export const LOOK_UP = new Script(`
local found = redis.call('HGETALL', KEYS[1])
if #found == 2 and string.sub(found[2], 21, 28) == '00000001' then
  local chunk = ARGV[3] .. string.sub(found[2], 5, 20) .. ':0'
  if redis.call('STRLEN', chunk) <= tonumber(ARGV[4]) then return {found, '', redis.call('GET', chunk)} end
end
if #found > 0 then return {found, ''} end
local taken = redis.pcall('SET', KEYS[2], ARGV[1], 'NX', 'PX', ARGV[2])
if taken and taken.err then return {found, 'pass'} end
if taken then return {found, ARGV[1]} end
return {found, redis.call('GET', KEYS[2]) or ''}
`);

/** Takes a lease. KEYS: lease. ARGV: token, ms. Returns whose it is now; "pass" when there is no room for one. */
export const LEASE = new Script(`
local taken = redis.pcall('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2])
if taken and taken.err then return 'pass' end
if taken then return ARGV[1] end
return redis.call('GET', KEYS[1]) or ''
`);

/** Goes on with a lease, if it is still held. KEYS: lease. ARGV: token, the value from now on, ms; 0 ms gives it up. */
export const RENEW = new Script(`
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if tonumber(ARGV[3]) == 0 then return redis.call('DEL', KEYS[1]) end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
`);

/** How long the chunks of a body live from now on: that of one that was replaced stays a while, for who is reading it. */
const KEEP = `
local function keep(value, prefix, ms)
  if #value < 28 or string.sub(value, 1, 4) ~= 'WPS1' then return end
  local body, chunks = string.sub(value, 5, 20), tonumber(string.sub(value, 21, 28), 16) or 0
  for chunk = 0, chunks - 1 do redis.call('PEXPIRE', prefix .. body .. ':' .. chunk, ms) end
end
`;

/**
 * Makes a variant visible, its chunks being there. KEYS: metadata, lease. ARGV: variant, value, ms to live, what chunks' names begin with, ms for a
 * replaced body's chunks, most variants, token of the lease or "", the body that it has already or "".
 */
export const COMMIT = new Script(`${KEEP}
local key, variant = KEYS[1], ARGV[1]
local old = redis.call('HGET', key, variant)
if old and string.sub(old, 5, 20) ~= string.sub(ARGV[2], 5, 20) then keep(old, ARGV[4], ARGV[5]) end
if ARGV[8] ~= '' then
  if not old or string.sub(old, 5, 20) ~= ARGV[8] then return 0 end
  keep(ARGV[2], ARGV[4], tonumber(ARGV[3]) + tonumber(ARGV[5]))
end
if not old and redis.call('HLEN', key) >= tonumber(ARGV[6]) then
  local victim = redis.call('HRANDFIELD', key)
  keep(redis.call('HGET', key, victim), ARGV[4], ARGV[5])
  redis.call('HDEL', key, victim)
end
redis.call('HSET', key, variant, ARGV[2])
if redis.call('PTTL', key) < tonumber(ARGV[3]) then redis.call('PEXPIRE', key, ARGV[3]) end
if ARGV[7] ~= '' and redis.call('GET', KEYS[2]) == ARGV[7] then redis.call('DEL', KEYS[2]) end
return 1
`);

/**
 * Takes variants away. KEYS: metadata. ARGV: what chunks' names begin with, ms for their chunks, a variant and its body (or "" and "" for all variants).
 * Returns how many those were.
 */
export const DROP = new Script(`${KEEP}
local gone = 0
if ARGV[3] == '' then
  for _, value in ipairs(redis.call('HVALS', KEYS[1])) do
    keep(value, ARGV[1], ARGV[2])
    gone = gone + 1
  end
  redis.call('UNLINK', KEYS[1])
  return gone
end
local old = redis.call('HGET', KEYS[1], ARGV[3])
if not old or (ARGV[4] ~= '' and string.sub(old, 5, 20) ~= ARGV[4]) then return 0 end
keep(old, ARGV[1], ARGV[2])
return redis.call('HDEL', KEYS[1], ARGV[3])
`);

/** Notes that a response has a tag. KEYS: the tag's set. ARGV: response, ms to live, most members. */
export const TAG = new Script(`
if redis.call('SCARD', KEYS[1]) >= tonumber(ARGV[3]) then return 0 end
redis.call('SADD', KEYS[1], ARGV[1])
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[2]) then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return 1
`);
