#include "platform/rpc/shared_rate_limiter.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace starling::rpc {
namespace {

constexpr std::string_view kTake = "take";
constexpr std::string_view kGiveBack = "give back";

// Gives whether a token was taken, and the tokens left. A millionth of a token is rounding.
constexpr std::string_view kBucket = R"lua(
local rate, burst, what = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3]
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local tokens = burst
local kept = redis.call('GET', KEYS[1])
if kept then
  local left, at = struct.unpack('>dd', kept)
  tokens = math.min(burst, left + math.max(0, now - at) * rate / 1000000)
end
local taken = 0
if what == 'take' then
  if tokens < 0.999999 then return {0, tostring(tokens)} end
  taken, tokens = 1, math.max(0, tokens - 1)
else
  tokens = math.min(burst, tokens + 1)
end
local full_in = math.ceil((burst - tokens) * 1000 / rate)
redis.call('SET', KEYS[1], struct.pack('>dd', tokens, now), 'PX', full_in + 1)
return {taken, tostring(tokens)}
)lua";

Duration Seconds(double seconds) {
  return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds));
}

}  // namespace

SharedRateLimiter::SharedRateLimiter(Options options, Runtime& runtime)
    : prefix_(std::move(options.prefix)),
      client_({.url = std::move(options.url),
               .connect_timeout = options.patience,
               .call_timeout = options.patience},
              runtime) {}

Task<StatusOr<RateLimiter::Decision>> SharedRateLimiter::Run(std::string_view bucket,
                                                             const RateLimiter::Limit& limit,
                                                             std::string_view what) {
  static const redis::Script script(kBucket);
  const double rate = std::clamp(limit.per_second, 0.001, 1e6);
  const int64_t burst = std::clamp<int64_t>(limit.burst, 1, 1'000'000);
  const std::string rate_text = fmt::format("{}", rate);
  const std::string burst_text = std::to_string(burst);
  const std::string key = fmt::format("{}:limit:{}/{}:{}", prefix_, rate_text, burst_text, bucket);
  const std::array<std::string_view, 1> keys = {key};
  const std::array<std::string_view, 3> words = {rate_text, burst_text, what};
  CO_ASSIGN_OR_RETURN(const redis::Reply reply, co_await client_.Run(script, keys, words));
  double tokens = -1;
  if (reply.size() == 2) {
    const std::string_view text = reply[1].text();
    std::from_chars(text.data(), text.data() + text.size(), tokens);
  }
  if (tokens < 0) co_return Internal("the script of a bucket gave no tokens");
  RateLimiter::Decision decision{
      .allowed = reply[0].integer() == 1,
      .remaining = static_cast<int64_t>(tokens + 1e-6),
      .until_full = Seconds((static_cast<double>(burst) - tokens) / rate)};
  if (decision.remaining == 0) decision.retry_after = Seconds((1 - tokens) / rate);
  co_return decision;
}

Task<StatusOr<RateLimiter::Decision>> SharedRateLimiter::Take(std::string_view bucket,
                                                              const RateLimiter::Limit& limit) {
  return Run(bucket, limit, kTake);
}

Task<Status> SharedRateLimiter::GiveBack(std::string_view bucket, const RateLimiter::Limit& limit) {
  const StatusOr<RateLimiter::Decision> decision = co_await Run(bucket, limit, kGiveBack);
  co_return decision.status();
}

}  // namespace starling::rpc
