#include "platform/storage/kv/redis/redis_store.h"

#include <array>
#include <unordered_map>

#include "platform/storage/kv/redis/server_check.h"
#include "platform/storage/kv/stored_value.h"

namespace starling::kv {
namespace {

using redis::Command;
using redis::Reply;

constexpr std::string_view kPageBytes = "16777216";

// ARGV: now, how many are put, of each its key, stored value and expiry (ms, or ""), then the keys
// that are deleted. Puts first: a server that is out of memory refuses the first write of a script,
// or none.
constexpr std::string_view kApply = R"lua(
local values, order, expiry = KEYS[1], KEYS[2], KEYS[3]
local puts = tonumber(ARGV[2])
local some_expire = redis.call('EXISTS', expiry) == 1
local at = 3
for _ = 1, puts do
  local key, expires = ARGV[at], ARGV[at + 2]
  if redis.call('HSET', values, key, ARGV[at + 1]) == 1 then redis.call('ZADD', order, 0, key) end
  if expires ~= '' then
    redis.call('ZADD', expiry, expires, key)
  elseif some_expire then
    redis.call('ZREM', expiry, key)
  end
  at = at + 3
end
local function remove(key)
  if redis.call('HDEL', values, key) == 1 then redis.call('ZREM', order, key) end
  if some_expire then redis.call('ZREM', expiry, key) end
end
for i = at, #ARGV do remove(ARGV[i]) end
if some_expire then
  local old = redis.call('ZRANGE', expiry, '-inf', ARGV[1], 'BYSCORE', 'LIMIT', 0, 16 + #ARGV - at + 1 + puts)
  for _, key in ipairs(old) do remove(key) end
end
return 0
)lua";

// ARGV: from, to (of BYLEX), entries, bytes. Gives the key to go on after ("" at the end), then
// keys and values.
constexpr std::string_view kScan = R"lua(
local limit, bytes = tonumber(ARGV[3]), tonumber(ARGV[4])
local keys = redis.call('ZRANGE', KEYS[2], ARGV[1], ARGV[2], 'BYLEX', 'LIMIT', 0, limit + 1)
local page = {''}
for i, key in ipairs(keys) do
  if i > limit or bytes <= 0 then
    page[1] = keys[i - 1]
    break
  end
  local value = redis.call('HGET', KEYS[1], key) or ''
  page[2 * i], page[2 * i + 1] = key, value
  bytes = bytes - #key - #value
end
return page
)lua";

constexpr std::string_view kCount =
    "return {redis.call('HLEN', KEYS[1]), redis.call('ZCARD', KEYS[2])}";

std::string Milliseconds(TimePoint time) {
  const auto since = time.time_since_epoch();
  return std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(since).count());
}

// The last change of each key.
std::vector<const Batch::Change*> LastOfEach(const Batch& batch) {
  std::vector<const Batch::Change*> last;
  last.reserve(batch.changes().size());
  if (batch.changes().size() == 1) {
    last.push_back(&batch.changes().front());
    return last;
  }
  std::unordered_map<std::string_view, size_t> places;
  places.reserve(batch.changes().size());
  for (const Batch::Change& change : batch.changes()) {
    const auto [place, is_new] = places.emplace(change.key, last.size());
    if (is_new) {
      last.push_back(&change);
    } else {
      last[place->second] = &change;
    }
  }
  return last;
}

class RedisStore final : public Store {
 public:
  RedisStore(std::shared_ptr<redis::Client> client, RedisStoreOptions options, const Clock& clock)
      : client_(std::move(client)),
        clock_(clock),
        shown_(fmt::format("{}, store {}", client_->shown(), options.name)),
        keeps_(options.keeps),
        values_(fmt::format("{{{}}}:values", options.name)),
        order_(fmt::format("{{{}}}:order", options.name)),
        expiry_(fmt::format("{{{}}}:expiry", options.name)) {}

  // On the node that has the store: the first call finds it.
  Task<Status> CheckServer() {
    std::string command = Command({"HLEN", values_});
    StatusOr<Reply> size = co_await client_->Call(values_, std::move(command));
    CO_RETURN_IF_ERROR(size.status());
    command = Command({"INFO"});
    CO_ASSIGN_OR_RETURN(const Reply info, co_await client_->Call(values_, std::move(command)));
    command = Command({"CONFIG", "GET", "appendfsync"});
    const StatusOr<Reply> config = co_await client_->Call(values_, std::move(command));
    std::string_view appendfsync;
    if (config.ok() && config->size() == 2) appendfsync = (*config)[1].text();
    co_return CheckRedisServer(info.text(), appendfsync, keeps_, client_->shown());
  }

  Task<StatusOr<std::optional<std::string>>> Get(std::string_view key) override {
    CO_RETURN_IF_ERROR(CheckKey(key));
    std::string command = Command({"HGET", values_, key});
    CO_ASSIGN_OR_RETURN(const Reply reply, co_await client_->Call(values_, std::move(command)));
    if (reply.is_nil()) co_return std::optional<std::string>();
    const std::optional<StoredValue> value = DecodeStored(reply.text());
    if (!value.has_value()) co_return Undecodable(key);
    if (value->ExpiredAt(clock_.Now())) co_return std::optional<std::string>();
    co_return std::optional<std::string>(value->value);
  }

  Task<Status> Apply(const Batch& batch, Durability) override {
    CO_RETURN_IF_ERROR(CheckBatch(batch));
    if (batch.changes().empty()) co_return OkStatus();
    const TimePoint now = clock_.Now();
    const std::vector<const Batch::Change*> changes = LastOfEach(batch);
    std::vector<std::string> made;  // what the words below are views of
    made.reserve(2 + 2 * changes.size());
    made.push_back(Milliseconds(now));
    made.emplace_back();
    std::vector<std::string_view> words = {made[0], made[1]};
    words.reserve(2 + 3 * changes.size());
    size_t puts = 0;
    for (const Batch::Change* change : changes) {
      if (!change->value.has_value()) continue;
      ++puts;
      std::optional<TimePoint> expires;
      if (change->ttl.has_value()) expires = now + *change->ttl;
      made.push_back(EncodeStored(*change->value, expires));
      words.push_back(change->key);
      words.push_back(made.back());
      made.push_back(expires.has_value() ? Milliseconds(*expires) : std::string());
      words.push_back(made.back());
    }
    for (const Batch::Change* change : changes) {
      if (!change->value.has_value()) words.push_back(change->key);
    }
    made[1] = std::to_string(puts);
    words[1] = made[1];
    const StatusOr<Reply> reply = co_await client_->Run(Scripts().apply, keys_, words);
    co_return reply.status();
  }

  Task<StatusOr<Page>> Scan(const ScanOptions& options) override {
    CO_RETURN_IF_ERROR(CheckScan(options));
    const bool goes_on = !options.after.empty() && options.after >= options.prefix;
    std::string from = goes_on ? "(" : "[";
    from += goes_on ? options.after : options.prefix;
    if (from == "[") from = "-";
    std::string to = EndOf(options.prefix);
    to = to.empty() ? "+" : "(" + to;
    const std::string limit = std::to_string(options.limit);
    const std::array<std::string_view, 4> words = {from, to, limit, kPageBytes};
    CO_ASSIGN_OR_RETURN(const Reply reply, co_await client_->Run(Scripts().scan, keys_, words));
    if (reply.size() == 0) co_return Undecodable("");
    const TimePoint now = clock_.Now();
    Page page;
    page.next = reply[0].text();
    page.entries.reserve(reply.size() / 2);
    for (size_t i = 1; i + 1 < reply.size(); i += 2) {
      const std::string_view key = reply[i].text();
      const std::optional<StoredValue> value = DecodeStored(reply[i + 1].text());
      if (!value.has_value()) co_return Undecodable(key);
      if (value->ExpiredAt(now)) continue;
      page.entries.push_back({std::string(key), std::string(value->value)});
    }
    co_return page;
  }

  // Redis has no checksums of what is in its memory: whether every value is one of ours, and the
  // order has as many keys as there are values.
  Task<Status> Check() override {
    const std::array<std::string_view, 0> none;
    CO_ASSIGN_OR_RETURN(const Reply counts, co_await client_->Run(Scripts().count, keys_, none));
    if (counts.size() != 2 || counts[0].integer() != counts[1].integer()) {
      co_return DataLoss("{} has {} values, but {} keys in their order; restore the last backup",
                         shown_, counts[0].integer(), counts[1].integer());
    }
    std::string after;
    do {
      CO_ASSIGN_OR_RETURN(Page page, co_await Scan({.after = after, .limit = kMaxPageEntries}));
      after = std::move(page.next);
    } while (!after.empty());
    co_return OkStatus();
  }

 private:
  struct AllScripts {
    redis::Script apply{kApply};
    redis::Script scan{kScan};
    redis::Script count{kCount};
  };
  static const AllScripts& Scripts() {
    static const AllScripts scripts;
    return scripts;
  }
  Status Undecodable(std::string_view key) const {
    return DataLoss(
        "the value of '{}' in {} is not one this program stores; another program wrote it, or "
        "restore the last backup",
        key, shown_);
  }

  const std::shared_ptr<redis::Client> client_;
  const Clock& clock_;
  const std::string shown_;
  const RedisKeeps keeps_;
  const std::string values_, order_, expiry_;
  const std::array<std::string_view, 3> keys_{values_, order_, expiry_};
};

}  // namespace

StatusOr<std::unique_ptr<Store>> OpenRedis(std::shared_ptr<redis::Client> client,
                                           RedisStoreOptions options, const Clock& clock) {
  if (options.name.empty() || options.name.find_first_of("{}") != std::string::npos)
    return InvalidArgument("'{}' is no name of a store: one without braces", options.name);
  auto store = std::make_unique<RedisStore>(std::move(client), std::move(options), clock);
  STARLING_RETURN_IF_ERROR(RunSync(store->CheckServer()));
  return store;
}

}  // namespace starling::kv
