import { Script } from "./engine.ts";

/** Entries of the log are numbered by the first part of their stream ids; the second is always 0. */
const LAST = `
local function last(log)
  local found = redis.call('XREVRANGE', log, '+', '-', 'COUNT', 1)
  if #found == 0 then return nil end
  return tonumber(string.match(found[1][1], '^%d+'))
end
local function add(log, sequence, id, payload, most)
  redis.call('XADD', log, 'MAXLEN', '~', most, string.format('%.0f-0', sequence), 'id', id, 'what', payload)
  return string.format('%.0f', sequence)
end
local function mark(log, sequence)
  local found = redis.call('XRANGE', log, sequence, sequence)
  if #found == 0 then return nil end
  return found[1][2][2]
end
`;

/**
 * Finds where a node stands in the log. KEYS: log. ARGV: the node's sequence number ("0": none), the id of that entry, the least number for a log
 * that begins, an id and the payload for its first entry, the length of the log.
 *
 * Returns "same" (the log goes on from there), "unknown" or "trimmed" (entries that the node has not seen are gone), "begun" (there was no log, or it is not
 * the one that the node knows: it has a new beginning now); and the last number.
 */
export const JOIN = new Script(`${LAST}
local log, at = KEYS[1], tonumber(ARGV[1])
local newest = last(log)
if newest == nil then
  return {'begun', add(log, math.max(tonumber(ARGV[3]), at + 1), ARGV[4], ARGV[5], ARGV[6])}
end
local now = string.format('%.0f', newest)
if at == 0 then return {'unknown', now} end
local id = mark(log, string.format('%.0f-0', at))
if id == ARGV[2] then return {'same', now} end
local oldest = redis.call('XRANGE', log, '-', '+', 'COUNT', 1)
if id == nil and at < tonumber(string.match(oldest[1][1], '^%d+')) then return {'trimmed', now} end
return {'begun', add(log, math.max(tonumber(ARGV[3]), newest + 1, at + 1), ARGV[4], ARGV[5], ARGV[6])}
`);

/** Adds a purge. KEYS: log. ARGV: id, payload, length of the log. Returns its number; nothing when there is no log. */
export const APPEND = new Script(`${LAST}
local newest = last(KEYS[1])
if newest == nil then return false end
return add(KEYS[1], newest + 1, ARGV[1], ARGV[2], ARGV[3])
`);

/**
 * A node says how far it is. KEYS: nodes, log. ARGV: its name, its number, the id of that entry, what tells this life of it from others, "1" when it wants to
 * know where all are. Returns the engine's time in ms, the last number ("" when there is no log), the id of the entry under the node's number ("" when there is
 * none: then the node is not as far as it believes), how many nodes are known, whose life has said so last ("" when none has), and where all are, if wanted.
 */
export const BEAT = new Script(`${LAST}
local time = redis.call('TIME')
local ms = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
local before = redis.call('HGET', KEYS[1], ARGV[1])
local id = mark(KEYS[2], ARGV[2] .. '-0') or ''
redis.call('HSET', KEYS[1], ARGV[1], (id == ARGV[3] and ARGV[2] or '0') .. ' ' .. ms .. ' ' .. ARGV[4])
local newest = last(KEYS[2])
local life = before and string.match(before, '%S+$') or ''
local all = ARGV[5] == '1' and redis.call('HGETALL', KEYS[1]) or {}
return {ms, newest and string.format('%.0f', newest) or '', id, redis.call('HLEN', KEYS[1]), life, all}
`);
