#include "platform/gateway/request_head.h"

#include <charconv>

#include "platform/http/syntax.h"

namespace starling::gateway {
namespace {

using http::EqualsIgnoreCase;

enum class Fate : uint8_t { kPass, kDrop, kForwarded };

Fate FateOf(std::string_view name, const Forwarding& how) {
  const auto is = [name](std::string_view other) { return EqualsIgnoreCase(name, other); };
  switch (name.size()) {
    case 2:
      return is("te") ? Fate::kDrop : Fate::kPass;
    case 3:
      return is("via") ? Fate::kForwarded : Fate::kPass;
    case 4:
      return is("host") ? Fate::kDrop : Fate::kPass;
    case 6:
      return is("expect") ? Fate::kDrop : Fate::kPass;
    case 7:
      return is("trailer") || is("upgrade") ? Fate::kDrop : Fate::kPass;
    case 9:
      return is("forwarded") && !how.trusted_peer ? Fate::kDrop : Fate::kPass;
    case 10:
      return is("connection") || is("keep-alive") ? Fate::kDrop : Fate::kPass;
    case 13:
      return is("authorization") && !how.policy.pass_authorization ? Fate::kDrop : Fate::kPass;
    case 14:
      return is("content-length") ? Fate::kDrop : Fate::kPass;
    case 15:
      return is("x-forwarded-for") ? Fate::kForwarded : Fate::kPass;
    case 16:
      if (is("x-forwarded-host")) return how.trusted_peer ? Fate::kPass : Fate::kDrop;
      return is("proxy-connection") ? Fate::kDrop : Fate::kPass;
    case 17:
      if (is("x-forwarded-proto")) return how.trusted_peer ? Fate::kPass : Fate::kDrop;
      return is("transfer-encoding") ? Fate::kDrop : Fate::kPass;
    case 19:
      return is("proxy-authorization") ? Fate::kDrop : Fate::kPass;
    default:
      return Fate::kPass;
  }
}

// One hop less (RFC 9110, 7.6.2); what is no number stays.
void AppendMaxForwards(std::string_view value, std::string& out) {
  const std::optional<uint64_t> left = http::ParseContentLength(value);
  out.append("Max-Forwards: ");
  if (left && *left > 0) {
    out.append(std::to_string(*left - 1));
  } else {
    out.append(value);
  }
  out.append("\r\n");
}

bool Names(std::string_view list, std::string_view name) {
  bool found = false;
  http::ForEachInList(list, [&](std::string_view one) { found |= EqualsIgnoreCase(one, name); });
  return found;
}

void AppendField(std::string_view name, std::string_view value, std::string& out) {
  out.append(name).append(": ");
  http::AppendInLine(value, out);
  out.append("\r\n");
}

}  // namespace

bool IsGatewaysField(std::string_view name) {
  for (const std::string_view own :
       {"host", "content-length", "transfer-encoding", "connection", "keep-alive",
        "proxy-connection", "te", "trailer", "upgrade", "expect", "via", "traceparent",
        "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-starling-caller",
        "x-starling-user"}) {
    if (EqualsIgnoreCase(name, own)) return true;
  }
  return false;
}

void AppendPath(std::string_view normal_path, std::string& out) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  for (const char c : normal_path) {
    const auto byte = static_cast<unsigned char>(c);
    // A '%' of the normal form begins an escape.
    if (c == '%' || (http::kClasses[byte] & http::kPath) != 0) {
      out += c;
    } else {
      out.append({'%', kHex[byte >> 4], kHex[byte & 15]});
    }
  }
}

std::optional<uint64_t> ContentLengthOf(const http::Request& request) {
  const auto text = request.headers.Find("content-length");
  uint64_t length = 0;
  if (!text || std::from_chars(text->data(), text->data() + text->size(), length).ec != std::errc())
    return std::nullopt;
  return length;
}

void AppendRequestHead(const http::Request& request, const Forwarding& how,
                       std::string_view authority, std::string& out, bool body_streams) {
  out.append(request.verb_text).append(" ").append(how.target).append(" HTTP/1.1\r\nHost: ");
  const auto host = request.headers.Find("host");
  out.append(host && !host->empty() ? *host : authority).append("\r\n");

  std::string_view via, forwarded_for;
  bool proto = false, forwarded_host = false;
  const std::string named =
      request.headers.Has("connection") ? request.headers.Joined("connection") : std::string();
  for (const auto& [name, value] : request.headers) {
    const Fate fate = FateOf(name, how);
    if (fate == Fate::kDrop) continue;
    if (!how.grpc && name.find('_') != std::string_view::npos) continue;
    if (fate == Fate::kForwarded) {
      // A list over several fields is one list; Joined only then.
      (name.size() == 3 ? via : forwarded_for) = value;
      continue;
    }
    if (!named.empty() && Names(named, name)) continue;
    bool replaced = false;
    for (const auto& [own, unused] : how.headers) replaced |= EqualsIgnoreCase(own, name);
    if (replaced) continue;
    if (name.size() == 17 && EqualsIgnoreCase(name, "x-forwarded-proto")) proto = true;
    if (name.size() == 16 && EqualsIgnoreCase(name, "x-forwarded-host")) forwarded_host = true;
    if (name.size() == 12 && request.verb == http::Verb::kOptions &&
        EqualsIgnoreCase(name, "max-forwards")) {
      AppendMaxForwards(value, out);
      continue;
    }
    out.append(name).append(": ").append(value).append("\r\n");
  }
  for (const auto& [name, value] : how.headers) {
    if (!value.empty()) AppendField(name, value, out);
  }

  out.append("X-Forwarded-For: ");
  if (how.trusted_peer && !forwarded_for.empty())
    out.append(request.headers.Joined("x-forwarded-for")).append(", ");
  out.append(request.remote_address).append("\r\n");
  if (!proto)
    out.append(request.tls ? "X-Forwarded-Proto: https\r\n" : "X-Forwarded-Proto: http\r\n");
  if (!forwarded_host && host && !host->empty())
    out.append("X-Forwarded-Host: ").append(*host).append("\r\n");
  out.append("Via: ");
  if (!via.empty()) out.append(request.headers.Joined("via")).append(", ");
  out.append(request.major_version == 2   ? "2.0 starling\r\n"
             : request.minor_version == 0 ? "1.0 starling\r\n"
                                          : "1.1 starling\r\n");

  if (!how.upgrade.empty())
    out.append("Connection: Upgrade\r\nUpgrade: ").append(how.upgrade).append("\r\n");

  const std::optional<uint64_t> length =
      body_streams ? ContentLengthOf(request) : request.body.size();
  const bool has_content = body_streams || !request.body.empty() ||
                           request.verb == http::Verb::kPost || request.verb == http::Verb::kPut ||
                           request.verb == http::Verb::kPatch;
  if (has_content && length) {
    char digits[24];
    const auto [end, error] = std::to_chars(digits, digits + sizeof(digits), *length);
    out.append("Content-Length: ").append(digits, end).append("\r\n");
  } else if (has_content) {
    out.append("Transfer-Encoding: chunked\r\n");
  }
  out.append("\r\n");
}

}  // namespace starling::gateway
