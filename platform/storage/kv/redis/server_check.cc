#include "platform/storage/kv/redis/server_check.h"

#include <cstdlib>

namespace starling::kv {
namespace {

constexpr int kOldest = 7;

}  // namespace

std::string_view InfoField(std::string_view info, std::string_view name) {
  while (!info.empty()) {
    const size_t end = info.find("\r\n");
    const std::string_view line = info.substr(0, end);
    if (line.size() > name.size() && line.starts_with(name) && line[name.size()] == ':')
      return line.substr(name.size() + 1);
    info = end == std::string_view::npos ? std::string_view() : info.substr(end + 2);
  }
  return {};
}

Status CheckRedisServer(std::string_view info, std::string_view appendfsync, RedisKeeps keeps,
                        std::string_view server) {
  const std::string version(InfoField(info, "redis_version"));
  if (std::atoi(version.c_str()) < kOldest)
    return FailedPrecondition("{} is version {}; version 7 is needed", server, version);
  if (keeps == RedisKeeps::kNothing) return OkStatus();
  const std::string_view policy = InfoField(info, "maxmemory_policy");
  if (policy.starts_with("allkeys")) {
    return FailedPrecondition(
        "{} throws whole stores away when its memory is full (maxmemory-policy {}); set "
        "noeviction, "
        "or accept it by storage.kv.keeps: nothing",
        server, policy);
  }
  if (InfoField(info, "aof_enabled") != "1") {
    return FailedPrecondition(
        "{} loses what it acknowledged when it restarts; set appendonly yes, or accept it by "
        "storage.kv.keeps: nothing",
        server);
  }
  if (keeps == RedisKeeps::kAlways && appendfsync != "always") {
    return FailedPrecondition(
        "{} has appendfsync {}, and storage.kv.keeps is always; set appendfsync always, or accept "
        "that a loss of power takes the last second by storage.kv.keeps: every_second",
        server, appendfsync.empty() ? "that cannot be asked (CONFIG is refused)" : appendfsync);
  }
  return OkStatus();
}

}  // namespace starling::kv
