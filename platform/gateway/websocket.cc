#include "platform/gateway/websocket.h"

#include <algorithm>
#include <map>
#include <mutex>

#include "platform/http/syntax.h"

namespace starling::gateway {
namespace {

constexpr size_t kKeyBytes = 24;  // 16 bytes in base64

using http::EqualsIgnoreCase;

bool IsKey(std::string_view text) {
  if (text.size() != kKeyBytes || !text.ends_with("==")) return false;
  return std::all_of(text.begin(), text.end() - 2, [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' ||
           c == '/';
  });
}

size_t HowOften(const http::Request& request, std::string_view wanted) {
  size_t count = 0;
  for (const auto& [name, value] : request.headers) count += EqualsIgnoreCase(name, wanted) ? 1 : 0;
  return count;
}

}  // namespace

bool AsksForWebSocket(const http::Request& request) {
  if (request.major_version != 1 || !request.headers.Has("upgrade")) return false;
  bool asks = false;
  const std::string upgrade = request.headers.Joined("upgrade");
  http::ForEachInList(upgrade,
                      [&](std::string_view one) { asks |= EqualsIgnoreCase(one, kWebSocket); });
  return asks;
}

Status CheckHandshake(const http::Request& request, bool has_body,
                      const std::vector<std::string>& origins) {
  if (request.verb != http::Verb::kGet || request.minor_version == 0 || has_body)
    return InvalidArgument("a WebSocket begins with a GET of HTTP/1.1 without a body");
  bool connection = false;
  const std::string named = request.headers.Joined("connection");
  http::ForEachInList(
      named, [&](std::string_view one) { connection |= EqualsIgnoreCase(one, "upgrade"); });
  if (!connection) return InvalidArgument("Connection does not name Upgrade");
  if (!EqualsIgnoreCase(request.headers.Joined("upgrade"), kWebSocket))
    return InvalidArgument("Upgrade names other protocols beside websocket");
  const auto version = request.headers.Find("sec-websocket-version");
  if (HowOften(request, "sec-websocket-version") != 1 || version != "13")
    return FailedPrecondition("Sec-WebSocket-Version must be 13");
  const auto key = request.headers.Find("sec-websocket-key");
  if (HowOften(request, "sec-websocket-key") != 1 || !IsKey(*key))
    return InvalidArgument("Sec-WebSocket-Key must be 16 bytes in base64, once");
  if (origins.empty()) return OkStatus();
  const auto origin = request.headers.Find("origin");
  if (HowOften(request, "origin") == 1 &&
      std::any_of(origins.begin(), origins.end(),
                  [&](const std::string& one) { return EqualsIgnoreCase(one, *origin); }))
    return OkStatus();
  return PermissionDenied("pages of this origin may not connect here");
}

bool IsOrigin(std::string_view text) {
  for (const std::string_view scheme : {"https://", "http://"}) {
    if (text.starts_with(scheme)) {
      text.remove_prefix(scheme.size());
      return !text.empty() && http::All(text, http::kHost);
    }
  }
  return false;
}

std::shared_ptr<TunnelCount> TunnelCount::Of(const std::string& path) {
  static std::mutex mutex;
  static auto& counts = *new std::map<std::string, std::shared_ptr<TunnelCount>>();
  const std::lock_guard lock(mutex);
  std::shared_ptr<TunnelCount>& count = counts[path];
  if (count == nullptr) count = std::make_shared<TunnelCount>();
  return count;
}

TunnelCount::Place TunnelCount::Take(const std::shared_ptr<TunnelCount>& count, int most) {
  if (count->open_.fetch_add(1, std::memory_order_relaxed) < most) return Place(count);
  count->open_.fetch_sub(1, std::memory_order_relaxed);
  return {};
}

}  // namespace starling::gateway
