#include "platform/discovery/etcd/client.h"

#include "platform/http/url.h"

namespace starling::discovery::etcd {
namespace {

constexpr size_t kMaxLine = size_t{64} << 20;

http::ClientRequest RequestOf(const std::string& url, std::string_view path, std::string body) {
  http::ClientRequest request;
  request.verb = http::Verb::kPost;
  request.url = url + std::string(path);
  request.headers.Set("content-type", "application/json");
  request.body = std::move(body);
  return request;
}

bool IsAway(const Status& status) {
  return status.code() == StatusCode::kUnavailable ||
         status.code() == StatusCode::kDeadlineExceeded;
}

// Cuts a stream into its lines.
class Lines {
 public:
  explicit Lines(std::function<Status(std::string_view)> on_line) : on_line_(std::move(on_line)) {}
  Status Add(std::string_view piece) {
    while (!piece.empty()) {
      const size_t end = piece.find('\n');
      if (part_.size() + piece.size() > kMaxLine)
        return DataLoss("etcd sent a line above {} bytes", kMaxLine);
      part_.append(piece.substr(0, end));
      if (end == std::string_view::npos) return OkStatus();
      piece.remove_prefix(end + 1);
      const std::string line = std::exchange(part_, {});
      if (line.find_first_not_of(" \r") == std::string::npos) continue;
      STARLING_RETURN_IF_ERROR(on_line_(line));
    }
    return OkStatus();
  }

 private:
  const std::function<Status(std::string_view)> on_line_;
  std::string part_;
};

}  // namespace

Status CheckUrls(const std::vector<std::string>& urls) {
  if (urls.empty()) return InvalidArgument("etcd needs a URL such as http://127.0.0.1:2379");
  for (const std::string& url : urls) {
    const StatusOr<http::HttpUrl> parsed = http::ParseHttpUrl(url);
    if (!parsed.ok()) return Annotate(parsed.status(), "etcd");
    if (parsed->target != "/" || url.ends_with('/'))
      return InvalidArgument("etcd: '{}' should end with the port", url);
  }
  return OkStatus();
}

Client::Client(Runtime& runtime, ClientOptions options)
    : options_(std::move(options)), http_(runtime, {.max_connections_per_origin = 64}) {}

Task<StatusOr<std::string>> Client::Call(std::string_view path, std::string body) {
  Status last = Unavailable("etcd has no URL");
  const size_t first = at_.load(std::memory_order_relaxed);
  for (size_t i = 0; i < options_.urls.size(); ++i) {
    const size_t at = (first + i) % options_.urls.size();
    http::ClientRequest request = RequestOf(options_.urls[at], path, body);
    request.timeout = options_.timeout;
    StatusOr<http::ClientResponse> response = co_await http_.Send(std::move(request));
    if (response.ok() && response->status == 200) {
      at_.store(at, std::memory_order_relaxed);
      co_return std::move(response->body);
    }
    last = response.ok() ? ReadError(response->status, response->body) : response.status();
    // A server that has lost its cluster says so; another may be in it still.
    if (!IsAway(last)) co_return last;
  }
  co_return Unavailable("{}", std::string(last.message()));
}

Task<StatusOr<RangeAnswer>> Client::Range(std::string prefix) {
  CO_ASSIGN_OR_RETURN(const std::string answer,
                      co_await Call("/v3/kv/range", RangeRequest(prefix)));
  co_return ReadRange(answer);
}

Task<Status> Client::Put(Values values, int64_t lease) {
  const StatusOr<std::string> answer = co_await Call("/v3/kv/txn", PutRequest(values, lease));
  co_return answer.status();
}

Task<Status> Client::Delete(std::string key) {
  const StatusOr<std::string> answer = co_await Call("/v3/kv/deleterange", DeleteRequest(key));
  co_return answer.status();
}

Task<StatusOr<int64_t>> Client::Grant(Duration ttl) {
  CO_ASSIGN_OR_RETURN(const std::string answer,
                      co_await Call("/v3/lease/grant", GrantRequest(ttl)));
  co_return ReadGrant(answer);
}

Task<StatusOr<bool>> Client::KeepAlive(int64_t lease) {
  CO_ASSIGN_OR_RETURN(const std::string answer,
                      co_await Call("/v3/lease/keepalive", LeaseRequest(lease)));
  co_return ReadKeepAlive(answer);
}

Task<Status> Client::Revoke(int64_t lease) {
  const StatusOr<std::string> answer = co_await Call("/v3/lease/revoke", LeaseRequest(lease));
  co_return answer.status();
}

Task<StatusOr<std::vector<int64_t>>> Client::Leases() {
  CO_ASSIGN_OR_RETURN(const std::string answer, co_await Call("/v3/lease/leases", "{}"));
  co_return ReadLeases(answer);
}

Task<Status> Client::Compact(int64_t revision) {
  const StatusOr<std::string> answer = co_await Call("/v3/kv/compaction", CompactRequest(revision));
  co_return answer.status();
}

Task<Status> Client::Watch(std::string prefix, int64_t revision,
                           std::function<Status(WatchAnswer)> on_answer, CancellationToken until) {
  Lines lines([&](std::string_view line) -> Status {
    STARLING_ASSIGN_OR_RETURN(WatchAnswer answer, ReadWatch(line));
    return on_answer(std::move(answer));
  });
  const size_t at = at_.load(std::memory_order_relaxed);
  http::ClientRequest request =
      RequestOf(options_.urls[at], "/v3/watch", WatchRequest(prefix, revision));
  request.timeout = options_.timeout;
  request.quiet_timeout = options_.quiet;
  request.cancellation = std::move(until);
  request.on_piece = [&](std::string_view piece) { return lines.Add(piece); };
  const StatusOr<http::ClientResponse> response = co_await http_.Send(std::move(request));
  if (response.ok() && response->status == 200) co_return Unavailable("etcd ended the watch");
  Status status = response.ok() ? ReadError(response->status, response->body) : response.status();
  // The next call tries another: this one may be cut off from us, or from its cluster.
  if (IsAway(status)) at_.store((at + 1) % options_.urls.size(), std::memory_order_relaxed);
  co_return status;
}

}  // namespace starling::discovery::etcd
