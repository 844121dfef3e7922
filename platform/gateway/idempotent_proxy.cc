#include "platform/gateway/idempotent_proxy.h"

#include <charconv>

#include "platform/rpc/idempotency_key.h"
#include "platform/telemetry/log.h"

namespace starling::gateway {
namespace {

constexpr char kReplayedField[] = "Idempotent-Replayed";

// Whether the same request may be answered otherwise a little later.
bool SaysTryAgain(int status) {
  switch (status) {
    case 408:
    case 425:
    case 429:
    case 502:
    case 503:
    case 504:
      return true;
    default:
      return false;
  }
}

std::string FingerprintOf(const http::Request& request) {
  // A length before each part: no two requests give the same text.
  std::string text;
  const auto add = [&text](std::string_view part) {
    fmt::format_to(std::back_inserter(text), "{}:", part.size());
    text += part;
  };
  add(http::VerbText(request.verb));
  add(request.path);
  add(request.query);
  add(request.headers.Find("content-type").value_or(""));
  add(request.body);
  return rpc::Fingerprint(text);
}

}  // namespace

std::string WriteAnswer(const http::Response& response) {
  std::string bytes = fmt::format("{}\n", response.status);
  for (const auto& [name, value] : response.headers) {
    if (http::EqualsIgnoreCase(name, "RateLimit")) continue;  // of that moment
    bytes.append(name).append(":").append(value).append("\n");
  }
  bytes += '\n';
  bytes += response.body;
  return bytes;
}

std::optional<http::Response> ReadAnswer(std::string_view bytes) {
  http::Response response;
  for (bool first = true;; first = false) {
    const size_t end = bytes.find('\n');
    if (end == std::string_view::npos) return std::nullopt;
    const std::string_view line = bytes.substr(0, end);
    bytes.remove_prefix(end + 1);
    if (first) {
      const auto read = std::from_chars(line.data(), line.data() + line.size(), response.status);
      if (read.ec != std::errc() || read.ptr != line.data() + line.size()) return std::nullopt;
    } else if (line.empty()) {
      response.body = bytes;
      return response;
    } else {
      const size_t colon = line.find(':');
      if (colon == std::string_view::npos) return std::nullopt;
      response.headers.Add(line.substr(0, colon), line.substr(colon + 1));
    }
  }
}

Task<StatusOr<Once::Begun>> Once::Begin(http::Exchange& exchange, Need need) {
  CO_ASSIGN_OR_RETURN(key_, rpc::IdempotencyKeyOf(exchange.request.headers));
  if (key_.empty()) {
    if (need == kMayHave) co_return kNoKey;
    co_return InvalidField("Idempotency-Key",
                           "is missing; send a new random text with each new request, and the same "
                           "when it is sent again");
  }
  std::string fingerprint = FingerprintOf(exchange.request);
  CO_ASSIGN_OR_RETURN(const std::optional<rpc::IdempotencyStore::Answer> stored,
                      co_await store_.Begin(scope_, key_, std::move(fingerprint)));
  if (!stored) co_return kActs;
  if (!stored->status.ok()) co_return stored->status;
  std::optional<http::Response> response = ReadAnswer(stored->response);
  if (!response) {
    co_return DataLoss("the stored answer of an idempotency key is damaged; use a new key");
  }
  exchange.response = *std::move(response);
  exchange.response.headers.Set(kReplayedField, "true");
  co_return kReplayed;
}

Task<void> Once::Finish(const Status& status, const http::Response& response, bool streamed) {
  rpc::IdempotencyStore::Answer answer;
  if (!status.ok() || SaysTryAgain(response.status)) {
    answer.status = Unavailable("free the key");
  } else if (streamed) {
    answer.status = AlreadyExists(
        "this request was done, with an answer of more than {} KiB, which was not kept; ask for "
        "its result in another way",
        kMostKept >> 10);
  } else {
    answer.response = WriteAnswer(response);
  }
  const Status finished = co_await store_.Finish(scope_, key_, answer);
  // The change is made: not being able to store its answer must not turn it into a failure.
  if (!finished.ok())
    log::Warning("gateway", "the answer of an idempotency key was not kept").With(finished);
}

http::ResponseStream& Once::Kept::OpenStream() {
  if (!client_.streaming()) {
    client_.response = std::move(response);
    on_stream_();
  }
  return client_.StartStream();
}

Task<Status> Once::Kept::SendInterim(const http::Response& interim) {
  return client_.SendInterim(interim);
}

}  // namespace starling::gateway
