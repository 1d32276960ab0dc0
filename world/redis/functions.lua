#!lua name=starling_log_1

-- A shard's keys share a slot:
--   tail      "EPOCH CLAIM SEQUENCE OWNER"; the owner is empty after a release
--   log       a stream, entry ids SEQUENCE-EPOCH
--   snapshot  a hash: at, data
-- Functions give 1 when they did what was asked, and the tail as it is when it
-- is not what was expected. Numbers of 64 bits stay strings: Lua's are doubles.

-- held says whether tail starts with prefix and has an owner.
local function held(tail, prefix)
  return tail and string.sub(tail, 1, #prefix) == prefix and string.sub(tail, -1) ~= ' '
end

-- keys: tail, log; args: tail expected, tail then, entry id, batch
local function append(keys, args)
  local tail = redis.call('GET', keys[1])
  if not held(tail, args[1]) then return tail or '' end
  redis.call('XADD', keys[2], args[3], 'd', args[4])
  redis.call('SET', keys[1], args[2] .. string.sub(tail, #args[1] + 1))
  return 1
end

-- keys: tail; args: claim, least epoch, owner
local function claim(keys, args)
  local tail = redis.call('GET', keys[1])
  local epoch, sequence = 0, '0'
  if tail then
    local e, s = string.match(tail, '^(%d+) %d+ (%d+) ')
    epoch, sequence = tonumber(e), s
  end
  epoch = math.max(epoch, tonumber(args[2]))
  if epoch >= 4294967295 then return redis.error_reply('EPOCH there is none above 4294967295') end
  tail = string.format('%.0f', epoch + 1) .. ' ' .. args[1] .. ' ' .. sequence .. ' ' .. args[3]
  redis.call('SET', keys[1], tail)
  return tail
end

-- keys: tail; args: tail expected
local function release(keys, args)
  local tail = redis.call('GET', keys[1])
  if not tail or string.sub(tail, 1, #args[1]) ~= args[1] then return tail or '' end
  redis.call('SET', keys[1], args[1])
  return 1
end

-- keys: tail, log, snapshot; args: epoch and claim expected, at, data, first entry kept
local function snapshot(keys, args)
  local tail = redis.call('GET', keys[1])
  if not held(tail, args[1]) then return tail or '' end
  local at = tonumber(args[2])
  if at > tonumber(string.match(tail, '^%d+ %d+ (%d+) ')) then return tail end
  local newest = redis.call('HGET', keys[3], 'at')
  if newest and at < tonumber(newest) then return redis.error_reply('OLDER than the one at ' .. newest) end
  redis.call('HSET', keys[3], 'at', args[2], 'data', args[3])
  redis.call('XTRIM', keys[2], 'MINID', args[4] .. '-0')
  return 1
end

-- Reads the tail by a write that changes nothing, so that a WAIT after it
-- covers all that was written before, by whomever.
-- keys: tail
local function tail(keys, args)
  local tail = redis.call('GET', keys[1])
  if tail then redis.call('SET', keys[1], tail) end
  return tail or ''
end

redis.register_function('starling_log_1_append', append)
redis.register_function('starling_log_1_claim', claim)
redis.register_function('starling_log_1_release', release)
redis.register_function('starling_log_1_snapshot', snapshot)
redis.register_function('starling_log_1_tail', tail)
