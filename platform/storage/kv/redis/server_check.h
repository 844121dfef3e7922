// Whether a server keeps what is stored on it.
#pragma once

#include <string_view>

#include "platform/storage/kv/redis/redis_store.h"

namespace starling::kv {

// From its answers to INFO, and to CONFIG GET appendfsync ("" when it may not be asked).
// FAILED_PRECONDITION says what to set.
Status CheckRedisServer(std::string_view info, std::string_view appendfsync, RedisKeeps keeps,
                        std::string_view server);

// "7.0.15" of "redis_version" in INFO; "" when it is not there.
std::string_view InfoField(std::string_view info, std::string_view name);

}  // namespace starling::kv
