// The key-value port on Redis 7: stores that several machines reach, and that outlive the one that
// wrote them.
//
//   auto client = std::make_shared<redis::Client>(redis::Options{.url = url}, runtime);
//   auto store = kv::OpenRedis(client, {.name = "starling/features/products"});
//
// A store is three keys with one hash tag, so one slot of a cluster and one node:
//
//   {NAME}:values   hash         key -> stored_value.h, where the expiry is
//   {NAME}:order    sorted set   every key at score 0, so in byte order
//   {NAME}:expiry   sorted set   the keys that expire, by when (ms since 1970 UTC)
//
// Cost, in round trips: a Get 1 (HGET, O(1)); an Apply 1 (a script, O(log n) a change, a few us
// of the server's one thread each: a batch of 10,000 holds it for tens of ms); a Scan 1 a page
// (O(log n
// + page), holds the server likewise). About 100 bytes a key of the server's memory beside key and
// value. So the size of a store is bounded by the memory of one node, and a resharding moves it
// whole.
//
// Expiry goes by the clocks of the processes, which must agree. What has expired is not given any
// more, and each Apply removes up to 16 such keys, and as many again as it changes.
//
// Durability: a call is acknowledged when the server has done it. What that is worth is the
// server's to say: with `appendfsync always` a synced write is on its disk; with `everysec` it
// survives the end of the server's process and a loss of power takes the last second or two of it,
// synced or not; without AOF a restart takes all since the last snapshot. OpenRedis refuses a
// server that keeps less than `keeps`, and one whose maxmemory-policy may evict whole stores
// (allkeys-*). With replicas, a failover loses what was not replicated yet: nothing here waits for
// them.
//
// Errors: as redis/client.h has them; RESOURCE_EXHAUSTED the server's memory is full, reads and
// deletions go on; FAILED_PRECONDITION it keeps too little, is too old, or does not let us in.
// After UNAVAILABLE a batch is applied whole or not at all, and nobody knows which.
#pragma once

#include <memory>
#include <string>

#include "platform/storage/kv/store.h"
#include "platform/storage/redis/client.h"

namespace starling::kv {

// What a server must keep of what it acknowledged.
enum class RedisKeeps { kAlways, kEverySecond, kNothing };

struct RedisStoreOptions {
  std::string name;  // stores of one name are one store; without braces
  RedisKeeps keeps = RedisKeeps::kEverySecond;
};

// Blocks: for start-up, on a thread that is none of the runtime's.
StatusOr<std::unique_ptr<Store>> OpenRedis(std::shared_ptr<redis::Client> client,
                                           RedisStoreOptions options,
                                           const Clock& clock = SystemClock());

}  // namespace starling::kv
