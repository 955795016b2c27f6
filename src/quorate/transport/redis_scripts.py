"""What happens at Redis in one step: scripts over the keys of one queue.

KEYS of all of them: the stream of the queue; ident -> bytes of every parcel in it; its limits and counters; the stream
of dead letters; the names of the session's boxes. ARGV[1] is the box, except where it says otherwise.
"""

from __future__ import annotations

__all__ = ["ACKNOWLEDGE", "DROP", "EXPIRE", "GROUP", "PROVISION", "PUBLISH", "REJECT", "REMOVE", "RETRY", "TIRED"]

GROUP = "mpc"
"""Consumer group and consumer of every queue: there is one consumer, whichever process it is."""

_FORGET = """
local function forget(id, ident)
  local size = tonumber(redis.call('HGET', KEYS[2], ident) or '0')
  redis.call('XACK', KEYS[1], 'mpc', id)
  if redis.call('XDEL', KEYS[1], id) == 1 then
    redis.call('HDEL', KEYS[2], ident)
    redis.call('HINCRBY', KEYS[3], 'bytes', 0 - size)
  end
  return size
end
"""
_BURY = (
    _FORGET
    + """
local function bury(id, reason)
  local found = redis.call('XRANGE', KEYS[1], id, id)
  if #found == 0 then return 0 end
  local fields = found[1][2]
  local ident, body = fields[2], fields[4]
  if fields[1] ~= 'i' or fields[3] ~= 'b' or reason == 'rejected: malformed' then
    ident, body = 'malformed.' .. id, ''
  end
  local clock = redis.call('TIME')
  local since = clock[1] .. '.' .. string.format('%06d', clock[2])
  forget(id, ident)
  redis.call('XADD', KEYS[4], '*', 'i', ident, 'b', body, 'r', reason, 't', since, 'q', ARGV[1])
  redis.call('HINCRBY', KEYS[3], 'dead', #ident + #body)
  return 1
end
"""
)

PROVISION = """
redis.call('HSET', KEYS[3], 'ttl', ARGV[2], 'most_bytes', ARGV[3], 'most_deliveries', ARGV[4])
redis.pcall('XGROUP', 'CREATE', KEYS[1], 'mpc', '0', 'MKSTREAM')
redis.pcall('XGROUP', 'CREATE', KEYS[4], 'mpc', '0', 'MKSTREAM')
redis.call('SADD', KEYS[5], ARGV[1])
"""
"""ARGV: box, milliseconds, bytes, deliveries."""

PUBLISH = """
local facts = redis.call('HMGET', KEYS[3], 'most_bytes', 'bytes', 'dead')
if not facts[1] then return -1 end
local most, bytes, dead = tonumber(facts[1]), tonumber(facts[2] or '0'), tonumber(facts[3] or '0')
for k = 1, #ARGV, 2 do
  if redis.call('HEXISTS', KEYS[2], ARGV[k]) == 0 then
    local size = #ARGV[k] + #ARGV[k + 1]
    if bytes + size > most or dead > most then return (k - 1) / 2 end
    redis.call('XADD', KEYS[1], '*', 'i', ARGV[k], 'b', ARGV[k + 1])
    redis.call('HSET', KEYS[2], ARGV[k], size)
    bytes = redis.call('HINCRBY', KEYS[3], 'bytes', size)
  end
end
return #ARGV / 2
"""
"""ARGV: ident, body, ident, body, ...; how many are in the queue now, or -1: there is no such queue."""

ACKNOWLEDGE = (
    _FORGET
    + """
for k = 1, #ARGV, 2 do forget(ARGV[k], ARGV[k + 1]) end
"""
)
"""ARGV: id, ident, id, ident, ..."""

REJECT = _BURY + "return bury(ARGV[2], ARGV[3])"
"""ARGV: box, id, reason."""

EXPIRE = (
    _BURY
    + """
local ttl = redis.call('HGET', KEYS[3], 'ttl')
if not ttl then return '' end
local clock = redis.call('TIME')
local limit = clock[1] * 1000 + math.floor(clock[2] / 1000) - tonumber(ttl)
local old = redis.call('XRANGE', KEYS[1], ARGV[2], string.format('%.0f', math.max(limit, 0)), 'COUNT', 100)
for _, entry in ipairs(old) do
  if #redis.call('XPENDING', KEYS[1], 'mpc', entry[1], entry[1], 1) == 0 then bury(entry[1], 'expired') end
end
return #old == 100 and old[100][1] or ''
"""
)
"""ARGV: box, id to begin with; the id to go on after, or nothing. What was handed out does not expire."""

TIRED = (
    _BURY
    + """
local most = tonumber(redis.call('HGET', KEYS[3], 'most_deliveries') or '0')
if most == 0 then return '' end
local held = redis.call('XPENDING', KEYS[1], 'mpc', ARGV[2], '+', 100)
for _, entry in ipairs(held) do
  if entry[4] >= most then bury(entry[1], 'undeliverable') end
end
return #held == 100 and held[100][1] or ''
"""
)
"""ARGV: as of EXPIRE. Buries what was handed out too often; called by a consumer that has nothing in hand yet."""

DROP = """
for k = 2, #ARGV do
  local found = redis.call('XRANGE', KEYS[4], ARGV[k], ARGV[k])
  if #found == 1 then
    redis.call('XDEL', KEYS[4], ARGV[k])
    redis.call('HINCRBY', KEYS[3], 'dead', -(#found[1][2][2] + #(found[1][2][4] or '')))
  end
end
"""
"""ARGV: box, id of a dead letter, ..."""

RETRY = """
if redis.call('EXISTS', KEYS[3]) == 0 then return -1 end
for k = 2, #ARGV do
  local found = redis.call('XRANGE', KEYS[4], ARGV[k], ARGV[k])
  if #found == 1 then
    local ident, body = found[1][2][2], found[1][2][4] or ''
    local size = #ident + #body
    if redis.call('HEXISTS', KEYS[2], ident) == 0 then
      redis.call('XADD', KEYS[1], '*', 'i', ident, 'b', body)
      redis.call('HSET', KEYS[2], ident, size)
      redis.call('HINCRBY', KEYS[3], 'bytes', size)
    end
    redis.call('XDEL', KEYS[4], ARGV[k])
    redis.call('HINCRBY', KEYS[3], 'dead', -size)
  end
end
return 0
"""
"""ARGV: box, id of a dead letter, ...; -1: there is no such queue."""

REMOVE = """
redis.call('UNLINK', KEYS[1], KEYS[2], KEYS[3])
local start = '-'
repeat
  local page = redis.call('XRANGE', KEYS[4], start, '+', 'COUNT', 100)
  for _, entry in ipairs(page) do
    if entry[2][10] == ARGV[1] or not entry[2][10] then redis.call('XDEL', KEYS[4], entry[1]) end
    start = '(' .. entry[1]
  end
until #page == 0
if redis.call('XLEN', KEYS[4]) == 0 then
  local left = 0
  for _, box in ipairs(redis.call('SMEMBERS', KEYS[5])) do
    if box ~= ARGV[1] and ARGV[2] == string.match(box, '%.(.*)') then left = left + 1 end
  end
  if left == 0 then redis.call('UNLINK', KEYS[4]) end
end
redis.call('SREM', KEYS[5], ARGV[1])
"""
