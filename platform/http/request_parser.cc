#include "platform/http/request_parser.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstring>

#include "platform/http/syntax.h"

namespace starling::http {
namespace {

constexpr size_t kMaxVerbBytes = 32;
constexpr uint64_t kReservedBodyBytes =
    256 * 1024;  // a client that only claims a body makes us reserve no more

}  // namespace

bool IsHost(std::string_view text) { return All(text, kHost); }

Status TakeTarget(std::string_view target, Request& request) {
  if (target.empty() || !All(target, kTarget))
    return InvalidArgument("target '{}' is malformed", Shown(target));
  request.target.assign(target);
  if (target == "*") {
    if (request.verb != Verb::kOptions) return InvalidArgument("target '*' is for OPTIONS only");
    request.path.assign("*");
    return OkStatus();
  }
  const size_t path_end = std::min(target.find('?'), target.size());
  if (path_end == 0 || target[0] != '/')
    return InvalidArgument("target '{}' is no path", Shown(target));
  if (path_end < target.size()) request.query.assign(target.substr(path_end + 1));
  return NormalisePath(target.substr(0, path_end), request.path);
}

bool RequestParser::Fail(int http_status, std::string detail) {
  error_ = {http_status, std::move(detail)};
  state_ = State::kError;
  keep_alive_ = false;
  return false;
}

void RequestParser::Reset() {
  if (state_ == State::kError) return;
  max_body_bytes_ = limits_.max_body_bytes;
  state_ = State::kRequestLine;
  scanned_ = head_bytes_ = framing_bytes_ = 0;
  content_length_ = remaining_ = chunk_bytes_ = 0;
  has_content_length_ = chunked_ = streams_ = has_host_ = skipped_empty_line_ = false;
  connection_close_ = connection_keep_alive_ = expects_continue_ = false;
  keep_alive_ = true;
  authority_.clear();
}

RequestParser::Result RequestParser::Feed(std::string_view bytes, Request& request) {
  size_t used = 0;
  while (state_ != State::kError) {
    const std::string_view rest = bytes.substr(used);
    if (state_ == State::kComplete) return {Step::kComplete, used};
    if (state_ == State::kBody || state_ == State::kChunkData) {
      if (content_length_ > max_body_bytes_) {
        Fail(413, fmt::format("the body has {} bytes, above the limit of {}", content_length_,
                              max_body_bytes_));
        break;
      }
      const size_t take = static_cast<size_t>(std::min<uint64_t>(remaining_, rest.size()));
      used += take;
      remaining_ -= take;
      if (remaining_ == 0) state_ = state_ == State::kBody ? State::kComplete : State::kChunkEnd;
      if (!streams_) {
        if (request.body.empty() && !chunked_) {
          request.body.reserve(static_cast<size_t>(std::min(content_length_, kReservedBodyBytes)));
        }
        request.body.append(rest.substr(0, take));
      } else if (take > 0) {
        return {Step::kBody, used, rest.substr(0, take)};
      }
      if (remaining_ > 0) return {Step::kNeedMore, used};
      continue;
    }

    // The other states read lines.
    const void* found = scanned_ < rest.size()
                            ? std::memchr(rest.data() + scanned_, '\n', rest.size() - scanned_)
                            : nullptr;
    const size_t length =
        found == nullptr ? rest.size() : static_cast<const char*>(found) - rest.data() + 1;
    const bool in_head = state_ == State::kRequestLine || state_ == State::kFields;
    if (in_head && head_bytes_ + length > limits_.max_header_bytes) {
      if (state_ == State::kRequestLine) {
        Fail(414, fmt::format("the request line is above the limit of {} bytes",
                              limits_.max_header_bytes));
      } else {
        Fail(431,
             fmt::format("the header is above the limit of {} bytes", limits_.max_header_bytes));
      }
      break;
    }
    if (state_ == State::kChunkSize && length > kMaxChunkLineBytes) {
      Fail(400,
           fmt::format("a chunk's size line is above the limit of {} bytes", kMaxChunkLineBytes));
      break;
    }
    if (state_ == State::kTrailers && framing_bytes_ + length > limits_.max_header_bytes) {
      Fail(431, fmt::format("trailers and chunk extensions are above the limit of {} bytes",
                            limits_.max_header_bytes));
      break;
    }
    if (found == nullptr) {
      scanned_ = rest.size();
      return {Step::kNeedMore, used};
    }
    scanned_ = 0;
    used += length;
    if (length < 2 || rest[length - 2] != '\r') {
      Fail(400, "a line ends in LF without CR");
      break;
    }
    const std::string_view line = rest.substr(0, length - 2);
    if (in_head) head_bytes_ += length;
    switch (state_) {
      case State::kRequestLine:
        if (line.empty() && !skipped_empty_line_) {
          // Some clients end a body with one CRLF too many (RFC 9112, 2.2).
          skipped_empty_line_ = true;
          head_bytes_ = 0;
        } else if (ParseRequestLine(line, request)) {
          state_ = State::kFields;
        }
        break;
      case State::kFields:
        if (!line.empty()) {
          ParseField(line, request);
        } else if (FinishHead(request)) {
          return {Step::kHead, used};
        }
        break;
      case State::kChunkSize:
        if (!ParseChunkSize(line)) break;
        if (remaining_ == 0) {
          state_ = State::kTrailers;
        } else if (remaining_ > max_body_bytes_ - chunk_bytes_) {
          Fail(413, fmt::format("the body is above the limit of {} bytes", max_body_bytes_));
        } else {
          chunk_bytes_ += remaining_;
          state_ = State::kChunkData;
        }
        break;
      case State::kChunkEnd:
        if (line.empty()) {
          state_ = State::kChunkSize;
        } else {
          Fail(400, "a chunk is longer than its size says");
        }
        break;
      case State::kTrailers:
        framing_bytes_ += length;
        if (line.empty()) {
          state_ = State::kComplete;
        } else {
          // Trailers are checked like fields, then dropped: nothing here may be merged into the
          // header (RFC 9110, 6.5.1).
          const size_t colon = line.find(':');
          if (colon == std::string_view::npos || colon == 0 ||
              !All(line.substr(0, colon), kToken) || !All(line.substr(colon + 1), kValue)) {
            Fail(400, fmt::format("trailer '{}' is malformed", Shown(line)));
          }
        }
        break;
      default:
        break;
    }
  }
  return {Step::kError, used};
}

bool RequestParser::ParseRequestLine(std::string_view line, Request& request) {
  const size_t verb_end = line.find(' ');
  const size_t target_end = line.rfind(' ');
  if (verb_end == std::string_view::npos || verb_end == target_end || verb_end == 0) {
    return Fail(400, fmt::format("request line '{}' is not 'METHOD target HTTP/1.1'", Shown(line)));
  }
  const std::string_view verb = line.substr(0, verb_end);
  const std::string_view target = line.substr(verb_end + 1, target_end - verb_end - 1);
  const std::string_view version = line.substr(target_end + 1);
  if (verb.size() > kMaxVerbBytes || !All(verb, kToken)) {
    return Fail(400, fmt::format("method '{}' is malformed", Shown(verb)));
  }
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  if (version.size() != 8 || !version.starts_with("HTTP/") || !is_digit(version[5]) ||
      version[6] != '.' || !is_digit(version[7])) {
    return Fail(400, fmt::format("version '{}' is malformed", Shown(version)));
  }
  if (version[5] != '1')
    return Fail(505, fmt::format("{} is not supported; use HTTP/1.1", version));
  request.minor_version = version[7] == '0' ? 0 : 1;
  request.verb = ParseVerb(verb);
  request.verb_text.assign(verb);
  if (verb == "CONNECT") return Fail(501, "CONNECT is not supported: this is no proxy");
  return ParseTarget(target, request);
}

bool RequestParser::ParseTarget(std::string_view target, Request& request) {
  const std::string_view sent = target;
  std::string path;
  if (!target.empty() && target[0] != '/' && target != "*") {
    // Absolute form, as a proxy would send it (RFC 9112, 3.2.2); its authority replaces Host.
    const size_t scheme = target.find("://");
    if (scheme == std::string_view::npos ||
        !(EqualsIgnoreCase(target.substr(0, scheme), "http") ||
          EqualsIgnoreCase(target.substr(0, scheme), "https"))) {
      return Fail(400, fmt::format("target '{}' is neither a path nor an http URL", Shown(target)));
    }
    target.remove_prefix(scheme + 3);
    const size_t authority_end = std::min(target.find_first_of("/?"), target.size());
    authority_.assign(target.substr(0, authority_end));
    target.remove_prefix(authority_end);
    if (authority_.empty() || !All(authority_, kHost)) {
      return Fail(400, fmt::format("target '{}' has a malformed host", Shown(sent)));
    }
    if (!target.starts_with('/')) target = path.append("/").append(target);
  }
  if (const Status taken = TakeTarget(target, request); !taken.ok())
    return Fail(400, std::string(taken.message()));
  if (sent.size() != target.size()) request.target.assign(sent);
  return true;
}

bool RequestParser::ParseField(std::string_view line, Request& request) {
  if (line[0] == ' ' || line[0] == '\t')
    return Fail(400, "a header field is folded over two lines");
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos || colon == 0) {
    return Fail(400, fmt::format("header field '{}' is not 'name: value'", Shown(line)));
  }
  const std::string_view name = line.substr(0, colon);
  const std::string_view value = TrimSpace(line.substr(colon + 1));
  // Whitespace before the colon is no token character, so it is refused here too.
  if (!All(name, kToken))
    return Fail(400, fmt::format("header field name '{}' is malformed", Shown(name)));
  if (!All(value, kValue))
    return Fail(400, fmt::format("header field '{}' holds a control character", Shown(name)));
  if (request.headers.size() >= kMaxFields) {
    return Fail(431, fmt::format("the header has more than {} fields", kMaxFields));
  }
  request.headers.Add(name, value);
  return ParseKnownField(name, value, request);
}

bool RequestParser::ParseKnownField(std::string_view name, std::string_view value,
                                    Request& request) {
  switch (name.size()) {
    case 4:
      if (!EqualsIgnoreCase(name, "host")) return true;
      if (has_host_) return Fail(400, "there are two Host fields");
      has_host_ = true;
      if (!All(value, kHost)) return Fail(400, fmt::format("Host '{}' is malformed", Shown(value)));
      return true;
    case 6:
      if (!EqualsIgnoreCase(name, "expect") || request.minor_version == 0) return true;
      if (!EqualsIgnoreCase(value, "100-continue")) {
        return Fail(417, fmt::format("expectation '{}' is unknown; only 100-continue is met",
                                     Shown(value)));
      }
      expects_continue_ = true;
      return true;
    case 10:
      return !EqualsIgnoreCase(name, "connection") || ParseConnection(value);
    case 14: {
      if (!EqualsIgnoreCase(name, "content-length")) return true;
      const std::optional<uint64_t> length = ParseContentLength(value);
      if (!length)
        return Fail(400, fmt::format("Content-Length '{}' is not a number", Shown(value)));
      if (has_content_length_ && *length != content_length_) {
        return Fail(
            400, fmt::format("there are two Content-Lengths, {} and {}", content_length_, *length));
      }
      has_content_length_ = true;
      content_length_ = *length;
      return true;
    }
    case 17:
      if (!EqualsIgnoreCase(name, "transfer-encoding")) return true;
      if (request.minor_version == 0) return Fail(400, "HTTP/1.0 has no Transfer-Encoding");
      if (chunked_) return Fail(400, "there are two Transfer-Encodings");
      if (EqualsIgnoreCase(value, "chunked")) {
        chunked_ = true;
        return true;
      }
      if (value.size() >= 7 && EqualsIgnoreCase(value.substr(value.size() - 7), "chunked")) {
        return Fail(501, fmt::format("transfer coding '{}' is not supported; send 'chunked'",
                                     Shown(value)));
      }
      return Fail(400, fmt::format("Transfer-Encoding '{}' does not end in chunked", Shown(value)));
    default:
      return true;
  }
}

bool RequestParser::ParseConnection(std::string_view value) {
  ForEachInList(value, [&](std::string_view option) {
    if (EqualsIgnoreCase(option, "close")) connection_close_ = true;
    if (EqualsIgnoreCase(option, "keep-alive")) connection_keep_alive_ = true;
  });
  return true;
}

bool RequestParser::FinishHead(Request& request) {
  if (!has_host_ && request.minor_version > 0) return Fail(400, "there is no Host field");
  if (chunked_ && has_content_length_)
    return Fail(400, "there are both Content-Length and Transfer-Encoding");
  if (!authority_.empty()) request.headers.Set("Host", authority_);
  keep_alive_ = !connection_close_ && (request.minor_version > 0 || connection_keep_alive_);
  // Whether the body is too long is told after the head: a route may have a limit of its own.
  if (chunked_) {
    state_ = State::kChunkSize;
  } else if (content_length_ > 0) {
    remaining_ = content_length_;
    state_ = State::kBody;
  } else {
    state_ = State::kComplete;
  }
  return true;
}

bool RequestParser::ParseChunkSize(std::string_view line) {
  const std::optional<ChunkSize> size = ParseChunkSizeLine(line);
  if (!size) return Fail(400, fmt::format("chunk size '{}' is not a hex number", Shown(line)));
  framing_bytes_ += size->extension_bytes;
  if (framing_bytes_ > limits_.max_header_bytes) {
    return Fail(400, fmt::format("chunk extensions are above the limit of {} bytes",
                                 limits_.max_header_bytes));
  }
  remaining_ = size->size;
  return true;
}

}  // namespace starling::http
