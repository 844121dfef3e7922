#include "platform/http/response_parser.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstring>

#include "platform/http/response_writer.h"
#include "platform/http/syntax.h"

namespace starling::http {

bool ResponseParser::Fail(std::string why) {
  error_ = std::move(why);
  state_ = State::kError;
  keep_alive_ = false;
  return false;
}

void ResponseParser::Begin(bool to_head) {
  to_head_ = to_head;
  wanted_upgrade_ = {};
  upgrades_ = false;
  state_ = State::kStatusLine;
  begun_ = chunked_ = keep_alive_ = connection_close_ = connection_keep_alive_ = false;
  scanned_ = head_bytes_ = framing_bytes_ = 0;
  remaining_ = 0;
  content_length_.reset();
  named_.clear();
  error_.clear();
}

ResponseParser::Result ResponseParser::Feed(std::string_view bytes, Response& response) {
  size_t used = 0;
  while (state_ != State::kError) {
    const std::string_view rest = bytes.substr(used);
    switch (state_) {
      case State::kComplete:
        return {Step::kComplete, used};
      case State::kUntilEnd:
        if (rest.empty()) return {Step::kNeedMore, used};
        return {Step::kBody, bytes.size(), rest};
      case State::kBody:
      case State::kChunkData: {
        if (rest.empty()) return {Step::kNeedMore, used};
        const size_t take = static_cast<size_t>(std::min<uint64_t>(remaining_, rest.size()));
        remaining_ -= take;
        if (remaining_ == 0) state_ = state_ == State::kBody ? State::kComplete : State::kChunkEnd;
        return {Step::kBody, used + take, rest.substr(0, take)};
      }
      default:
        break;
    }

    // The other states read lines.
    const void* found = scanned_ < rest.size()
                            ? std::memchr(rest.data() + scanned_, '\n', rest.size() - scanned_)
                            : nullptr;
    const size_t length =
        found == nullptr ? rest.size() : static_cast<const char*>(found) - rest.data() + 1;
    const bool in_head = state_ == State::kStatusLine || state_ == State::kFields;
    if (length > 0 && in_head) begun_ = true;
    if (in_head && head_bytes_ + length > limits_.max_header_bytes) {
      Fail(fmt::format("the header is above the limit of {} bytes", limits_.max_header_bytes));
      break;
    }
    if (state_ == State::kChunkSize && length > kMaxChunkLineBytes) {
      Fail(fmt::format("a chunk's size line is above the limit of {} bytes", kMaxChunkLineBytes));
      break;
    }
    if (state_ == State::kTrailers && framing_bytes_ + length > limits_.max_header_bytes) {
      Fail(fmt::format("trailers and chunk extensions are above the limit of {} bytes",
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
      Fail("a line ends in LF without CR");
      break;
    }
    if (in_head) head_bytes_ += length;
    if (ReadLine(rest.substr(0, length - 2), response))
      return {state_ == State::kStatusLine ? Step::kInterim : Step::kHead, used};
  }
  return {Step::kError, used};
}

ResponseParser::Step ResponseParser::End() {
  if (state_ == State::kComplete) return Step::kComplete;
  if (state_ == State::kUntilEnd) {
    state_ = State::kComplete;
    return Step::kComplete;
  }
  if (state_ != State::kError) Fail("the connection ended within an answer");
  return Step::kError;
}

// True at the end of a head, also of an interim one.
bool ResponseParser::ReadLine(std::string_view line, Response& response) {
  switch (state_) {
    case State::kStatusLine:
      if (ParseStatusLine(line, response)) state_ = State::kFields;
      return false;
    case State::kFields:
      if (!line.empty()) {
        ParseField(line, response);
        return false;
      }
      return FinishHead(response);
    case State::kChunkSize:
      if (const std::optional<ChunkSize> size = ParseChunkSizeLine(line)) {
        framing_bytes_ += size->extension_bytes;
        remaining_ = size->size;
        state_ = remaining_ == 0 ? State::kTrailers : State::kChunkData;
        if (framing_bytes_ > limits_.max_header_bytes) Fail("chunk extensions are too long");
      } else {
        Fail(fmt::format("chunk size '{}' is not a hex number", Shown(line)));
      }
      return false;
    case State::kChunkEnd:
      if (!line.empty()) {
        Fail("a chunk is longer than its size says");
      } else {
        state_ = State::kChunkSize;
      }
      return false;
    case State::kTrailers: {
      framing_bytes_ += line.size() + 2;
      if (line.empty()) {
        state_ = State::kComplete;
        return false;
      }
      // Kept apart: nothing here may be merged into the header (RFC 9110, 6.5.1).
      const size_t colon = line.find(':');
      const std::string_view name = line.substr(0, colon);
      if (colon == std::string_view::npos || colon == 0 || !All(name, kToken) ||
          !All(line.substr(colon + 1), kValue)) {
        Fail(fmt::format("trailer '{}' is malformed", Shown(line)));
      } else if (response.trailers.size() < kMaxFields && MayBeTrailer(name)) {
        response.trailers.Add(name, TrimSpace(line.substr(colon + 1)));
      }
      return false;
    }
    default:
      return false;
  }
}

bool ResponseParser::ParseStatusLine(std::string_view line, Response& response) {
  // "HTTP/1.1 200 OK"; the phrase may be missing, with or without its space.
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  if (line.size() < 12 || !line.starts_with("HTTP/1.") || !is_digit(line[7]) || line[8] != ' ' ||
      !is_digit(line[9]) || !is_digit(line[10]) || !is_digit(line[11]) ||
      (line.size() > 12 && line[12] != ' ') || !All(line, kValue)) {
    return Fail(fmt::format("status line '{}' is malformed", Shown(line)));
  }
  minor_version_ = line[7] == '0' ? 0 : 1;
  response.status = (line[9] - '0') * 100 + (line[10] - '0') * 10 + (line[11] - '0');
  if (response.status < 100 || response.status > 599)
    return Fail(fmt::format("status {} is none", response.status));
  if (response.status == 101 && wanted_upgrade_.empty())
    return Fail("101 Switching Protocols, which nobody asked for");
  return true;
}

bool ResponseParser::ParseField(std::string_view line, Response& response) {
  if (line[0] == ' ' || line[0] == '\t') return Fail("a header field is folded over two lines");
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos || colon == 0)
    return Fail(fmt::format("header field '{}' is not 'name: value'", Shown(line)));
  const std::string_view name = line.substr(0, colon);
  const std::string_view value = TrimSpace(line.substr(colon + 1));
  if (!All(name, kToken))
    return Fail(fmt::format("header field name '{}' is malformed", Shown(name)));
  if (!All(value, kValue))
    return Fail(fmt::format("header field '{}' holds a control character", Shown(name)));
  if (response.headers.size() >= kMaxFields)
    return Fail(fmt::format("the header has more than {} fields", kMaxFields));
  if (!TakeConnectionField(name, value) && state_ != State::kError)
    response.headers.Add(name, value);
  return state_ != State::kError;
}

bool ResponseParser::TakeConnectionField(std::string_view name, std::string_view value) {
  switch (name.size()) {
    case 7:
      if (EqualsIgnoreCase(name, "upgrade")) {
        upgrades_ = EqualsIgnoreCase(value, wanted_upgrade_);
        return true;
      }
      return EqualsIgnoreCase(name, "trailer");
    case 10:
      if (EqualsIgnoreCase(name, "keep-alive")) return true;
      if (!EqualsIgnoreCase(name, "connection")) return false;
      ForEachInList(value, [&](std::string_view option) {
        if (EqualsIgnoreCase(option, "close")) {
          connection_close_ = true;
        } else if (EqualsIgnoreCase(option, "keep-alive")) {
          connection_keep_alive_ = true;
        } else {
          named_.append(option).append(",");
        }
      });
      return true;
    case 14: {
      if (!EqualsIgnoreCase(name, "content-length")) return false;
      const std::optional<uint64_t> length = ParseContentLength(value);
      if (!length) {
        Fail(fmt::format("Content-Length '{}' is not a number", Shown(value)));
      } else if (content_length_ && *content_length_ != *length) {
        Fail(fmt::format("there are two Content-Lengths, {} and {}", *content_length_, *length));
      } else {
        content_length_ = length;
      }
      return true;
    }
    case 16:
      return EqualsIgnoreCase(name, "proxy-connection");
    case 17:
      if (!EqualsIgnoreCase(name, "transfer-encoding")) return false;
      if (chunked_ || minor_version_ == 0 || !EqualsIgnoreCase(value, "chunked")) {
        Fail(fmt::format("Transfer-Encoding '{}' is not understood", Shown(value)));
      }
      chunked_ = true;
      return true;
    default:
      return false;
  }
}

bool ResponseParser::FinishHead(Response& response) {
  if (response.status == 101) {
    bool named = false;
    ForEachInList(named_,
                  [&](std::string_view name) { named |= EqualsIgnoreCase(name, "upgrade"); });
    if (!upgrades_ || !named || minor_version_ == 0)
      return Fail("101 Switching Protocols to another one than was asked for");
    if (chunked_ || content_length_) return Fail("101 Switching Protocols with a body");
    keep_alive_ = false;
    state_ = State::kUntilEnd;
    return true;
  }
  const auto drop_named = [&] {
    ForEachInList(named_, [&](std::string_view name) { response.headers.Remove(name); });
  };
  if (response.status < 200) {
    // Not yet the answer.
    drop_named();
    const bool to_head = to_head_;
    const std::string_view wanted = wanted_upgrade_;
    Begin(to_head);
    wanted_upgrade_ = wanted;
    return true;
  }
  if (chunked_ && content_length_)
    return Fail("there are both Content-Length and Transfer-Encoding");
  drop_named();
  keep_alive_ = !connection_close_ && (minor_version_ > 0 || connection_keep_alive_);
  if (to_head_ || !MayHaveBody(response.status)) {
    state_ = State::kComplete;
  } else if (chunked_) {
    state_ = State::kChunkSize;
  } else if (content_length_) {
    remaining_ = *content_length_;
    state_ = remaining_ > 0 ? State::kBody : State::kComplete;
  } else {
    keep_alive_ = false;
    state_ = State::kUntilEnd;
  }
  return true;
}

}  // namespace starling::http
