-- The ring of cinema/cluster/ring.py for HAProxy, whose own consistent hash has other points.
--
--   global
--       lua-load-per-thread /etc/haproxy/ring.lua
--   backend cinema
--       http-request set-var(txn.owner) lua.cinema_owner
--       use-server %[var(txn.owner)] if { var(txn.owner) -m found }
--
-- `cinema_owner` is the name of the server that owns the showtime of the request's path. Servers of
-- the backend `cinema` are named as the ring spells them, NODE_HOST:PORT, and weigh NODE_WEIGHT.
-- One that is down is passed over for the next point, which is where the ring moves its showtimes.

local BACKEND = "cinema"
local POINTS_PER_WEIGHT = 160

local TABLE = {}
for byte = 0, 255 do
    local crc = byte
    for _ = 1, 8 do
        crc = (crc & 1 == 1) and (crc >> 1) ~ 0xEDB88320 or crc >> 1
    end
    TABLE[byte] = crc
end

-- CRC-32 as zlib has it, from a former one on.
local function crc32(text, start)
    local crc = (start or 0) ~ 0xFFFFFFFF
    for position = 1, #text do
        crc = TABLE[(crc ~ text:byte(position)) & 0xFF] ~ (crc >> 8)
    end
    return crc ~ 0xFFFFFFFF
end

local hashes = {}  -- ascending
local owners = {}  -- of the hash at the same place

local function nodes_by_address()
    local nodes = {}
    for name, server in pairs(core.backends[BACKEND].servers) do
        local host, port = name:match("^(.*):(%d+)$")
        if host == nil then
            error("server " .. name .. ": the name has to be HOST:PORT, as the ring spells it")
        end
        -- A number, or one with the initial weight behind it, as in "50 (initial 100)".
        local weight = tostring(server:get_weight())
        weight = tonumber(weight:match("initial (%d+)") or weight:match("%d+"))
        nodes[#nodes + 1] = {name = name, host = host, port = tonumber(port), weight = weight}
    end
    table.sort(nodes, function(one, other)
        if one.host ~= other.host then return one.host < other.host end
        return one.port < other.port
    end)
    return nodes
end

core.register_init(function()
    local owner_of = {}
    for _, node in ipairs(nodes_by_address()) do
        local start = crc32(node.host .. "\0" .. node.port)
        local point = 0
        for _ = 1, node.weight * POINTS_PER_WEIGHT do
            point = crc32(string.pack("<I4", point), start)
            if owner_of[point] == nil then
                owner_of[point] = node.name
                hashes[#hashes + 1] = point
            end
        end
    end
    table.sort(hashes)
    for place, hash in ipairs(hashes) do
        owners[place] = owner_of[hash]
    end
end)

-- The place of the first point from `hash` on, around the circle.
local function first_from(hash)
    local low, high = 1, #hashes + 1
    while low < high do
        local middle = (low + high) // 2
        if hashes[middle] < hash then low = middle + 1 else high = middle end
    end
    return low > #hashes and 1 or low
end

core.register_fetches("cinema_owner", function(txn)
    local showtime = txn.f:path():match("^/api/v1/showtimes/([%x-]+)")
    if showtime == nil or #hashes == 0 then return nil end
    local place = first_from(crc32(showtime:lower()))
    local passed_over = nil
    for _ = 1, #hashes do
        local owner = owners[place]
        if owner ~= passed_over then
            if txn.f:srv_is_up(BACKEND .. "/" .. owner) ~= 0 then return owner end
            passed_over = owner
        end
        place = place % #hashes + 1
    end
    return nil
end)
